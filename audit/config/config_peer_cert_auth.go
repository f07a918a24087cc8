package config

import "github.com/etcdsec/etcdsec/audit"

// PeerCertAuth finds peer listeners whose settings do not require a certificate of etcd's own peer CA.
func PeerCertAuth() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-peer-cert-auth",
		Title:    "etcd is not configured to require peer certificates of its CA",
		Severity: audit.Critical,
		Rationale: "The certificate of a peer is the only protection of the peer port. If etcd does not require a certificate " +
			"from a CA that signs only for peers, everyone who reaches the port can act as a member and replace the " +
			"database.",
		Method: "Works out how etcd interprets the effective settings: --peer-trusted-ca-file, --peer-client-cert-auth, " +
			"--peer-auto-tls, which disables both, and the schemes of the peer URLs.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the peer CA, and restart the member:"),
				audit.Paste("--peer-client-cert-auth --peer-trusted-ca-file=peer-ca.crt --peer-cert-file=peer.crt --peer-key-file=peer.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.5", "CIS Kubernetes Benchmark v2.0.1 2.5", "STIG V-242426", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Run:        lowerForSockets(askEtcd(peerSide().checkOpenURLs, peerSide().checkRequired)),
	})
}
