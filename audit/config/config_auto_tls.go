package config

import "github.com/etcdsec/etcdsec/audit"

// AutoTLS finds an etcd that makes its own server certificate.
func AutoTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-auto-tls",
		Title:    "etcd is configured to make its own server certificate",
		Severity: audit.High,
		Rationale: "Nobody can verify a certificate that etcd signs itself, so everyone on the path can act as etcd. With " +
			"--auto-tls, etcd also ignores --client-cert-auth and --trusted-ca-file and lets every caller in.",
		Method: "Reads the effective --auto-tls. If certificate files are given, etcd ignores --auto-tls, and the check " +
			"passes.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Issue certificates, set them, and restart the member:"),
				audit.Paste("etcdsec pki issue -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--auto-tls=false --cert-file=server.crt --key-file=server.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.3", "CIS Kubernetes Benchmark v2.0.1 2.3", "STIG V-242379", "NIST 800-53 SC-8", "NIST 800-53 SC-17"},
		Run:        askEtcd(clientSide().checkGenerated),
	})
}

// checkGenerated checks whether etcd makes its own certificate.
func (s side) checkGenerated(r *reading) {
	auto := s.flag("auto-tls")
	if !r.enabled(auto) {
		r.addEvidence(r.describe(auto))
		return
	}
	if s.certificate(r) == generated {
		r.addFinding("generated", "etcd generates its certificate: "+r.describe(auto)+", and no certificate files are given")
		return
	}
	r.addEvidence(r.describe(auto) + " has no effect: " + r.describe(s.flag("cert-file")) + ", " + r.describe(s.flag("key-file")))
}
