package config

import "github.com/etcdsec/etcdsec/audit"

// AutoTLS finds an etcd that makes its own client certificate.
func AutoTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-auto-tls",
		Title:    "etcd is set up to make its own server certificate",
		Severity: audit.High,
		Rationale: "Nobody can verify a certificate that etcd signs itself, so anybody in between can take its place. With it " +
			"etcd also drops --client-cert-auth and --trusted-ca-file and lets every caller in.",
		Method: "Reads the effective --auto-tls. etcd ignores it when certificate files are given, which is in order.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Issue certificates, set them, and restart the member:"),
				audit.Paste("etcdsec pki issue -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--auto-tls=false --cert-file=server.crt --key-file=server.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.3", "CIS Kubernetes Benchmark v2.0.1 2.3", "STIG V-242379", "NIST 800-53 SC-8", "NIST 800-53 SC-17"},
		Run:        askEtcd(clientSide().generates),
	})
}

// generates asks whether etcd makes its own certificate.
func (s side) generates(r *reading) {
	auto := s.flag("auto-tls")
	if !r.enabled(auto) {
		r.saw(r.written(auto))
		return
	}
	if s.certificate(r) == generated {
		r.found("generated", "etcd generates its certificate: "+r.written(auto)+", and no certificate files are given")
		return
	}
	r.saw(r.written(auto) + " has no effect: " + r.written(s.flag("cert-file")) + ", " + r.written(s.flag("key-file")))
}
