package config

import "github.com/etcdsec/etcdsec/audit"

// PeerAutoTLS finds an etcd that makes its own peer certificate.
func PeerAutoTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-peer-auto-tls",
		Title:    "etcd is configured to make its own peer certificate",
		Severity: audit.High,
		Rationale: "Members with self-signed certificates do not verify each other. With --peer-auto-tls, etcd also ignores " +
			"--peer-client-cert-auth and --peer-trusted-ca-file and accepts everybody as a member.",
		Method: "Reads the effective --peer-auto-tls. If certificate files are given, etcd ignores --peer-auto-tls, and the " +
			"check passes.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Issue certificates, set them, and restart the member:"),
				audit.Paste("etcdsec pki issue -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--peer-auto-tls=false --peer-cert-file=peer.crt --peer-key-file=peer.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.6", "CIS Kubernetes Benchmark v2.0.1 2.6", "STIG V-242380", "NIST 800-53 SC-8", "NIST 800-53 SC-17", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Run:        askEtcd(peerSide().checkGenerated),
	})
}
