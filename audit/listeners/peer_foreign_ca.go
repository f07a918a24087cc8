package listeners

import "github.com/etcdsec/etcdsec/audit"

// PeerForeignCA finds a peer port that accepts a certificate of a CA that it cannot know.
func PeerForeignCA() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "peer-foreign-ca",
		Title:    "The peer port accepts a certificate of a foreign CA",
		Severity: audit.Critical,
		Rationale: "A member is whoever the peer port takes for one. If any CA may have signed it, everybody can mint a member, " +
			"as with --peer-auto-tls, which encrypts and authenticates nobody.",
		Method: "Presents a certificate of a CA made in memory a moment ago, and one of a CA that bears the name of the CA " +
			"which the server says it trusts.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Trust the peer CA only, and require its certificates; restart the member:"),
				audit.Paste("--peer-client-cert-auth --peer-trusted-ca-file=peer-ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.5", "CIS Kubernetes Benchmark v2.0.1 2.5", "CIS Kubernetes Benchmark v1.12 2.6", "CIS Kubernetes Benchmark v2.0.1 2.6", "STIG V-242426", "NIST 800-53 IA-5(2)", "NIST 800-53 SC-17", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Applies:    audit.On(audit.Peer),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome { return foreignCA(t, h) })
		},
	})
}
