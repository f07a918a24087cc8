package config

import "github.com/etcdsec/etcdsec/audit"

// PeerAutoTLS finds an etcd that makes its own peer certificate.
func PeerAutoTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-peer-auto-tls",
		Title:    "etcd is set up to make its own peer certificate",
		Severity: audit.High,
		Rationale: "Members with certificates that they sign themselves do not verify each other. With them etcd also drops " +
			"--peer-client-cert-auth and --peer-trusted-ca-file and takes everybody for a member.",
		Method: "Reads the effective --peer-auto-tls. etcd ignores it when certificate files are given, which is in order.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Issue certificates, set them, and restart the member:"),
				audit.Paste("etcdsec pki issue -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--peer-auto-tls=false --peer-cert-file=peer.crt --peer-key-file=peer.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.6", "CIS Kubernetes Benchmark v2.0.1 2.6", "STIG V-242380", "NIST 800-53 SC-8", "NIST 800-53 SC-17", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Run:        askEtcd(peerSide().generates),
	})
}
