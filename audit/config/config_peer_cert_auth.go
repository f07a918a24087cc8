package config

import "github.com/etcdsec/etcdsec/audit"

// PeerCertAuth finds peer listeners that are not set up to require a certificate of a
// CA of their own.
func PeerCertAuth() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-peer-cert-auth",
		Title:    "Peers are not set up to need a certificate of a CA of etcd",
		Severity: audit.Critical,
		Rationale: "The certificate of a peer is the only protection of the peer port. Without one that is required, of a CA " +
			"that signs for nobody else, who reaches the port can act as a member and replace the database.",
		Method: "Works out from the effective settings what etcd makes of them: from --peer-trusted-ca-file, " +
			"--peer-client-cert-auth, --peer-auto-tls, which drops both, and the schemes of the peer URLs.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the peer CA, and restart the member:"),
				audit.Paste("--peer-client-cert-auth --peer-trusted-ca-file=peer-ca.crt --peer-cert-file=peer.crt --peer-key-file=peer.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.5", "CIS Kubernetes Benchmark v2.0.1 2.5", "STIG V-242426", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Run:        socketsWorthLess(askEtcd(peerSide().openURLs, peerSide().required)),
	})
}
