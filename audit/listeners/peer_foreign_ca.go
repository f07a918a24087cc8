package listeners

import "github.com/etcdsec/etcdsec/audit"

// PeerForeignCA finds a peer port that accepts a certificate of an unknown CA.
func PeerForeignCA() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "peer-foreign-ca",
		Title:    "The peer port accepts a certificate of a foreign CA",
		Severity: audit.Critical,
		Rationale: "Everyone whom the peer port accepts is a member. If any CA may have signed the certificate, everybody can " +
			"create a member. --peer-auto-tls has this effect: it encrypts, but authenticates nobody.",
		Method: "Presents a certificate of a CA that the audit just made in memory, and one of a CA with the same name as the " +
			"CA that the server says it trusts.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Trust the peer CA only, and require its certificates; restart the member:"),
				audit.Paste("--peer-client-cert-auth --peer-trusted-ca-file=peer-ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.5", "CIS Kubernetes Benchmark v2.0.1 2.5", "CIS Kubernetes Benchmark v1.12 2.6", "CIS Kubernetes Benchmark v2.0.1 2.6", "STIG V-242426", "NIST 800-53 IA-5(2)", "NIST 800-53 SC-17", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Applies:    audit.On(audit.Peer),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome { return judgeForeignCA(t, h) })
		},
	})
}
