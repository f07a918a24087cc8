package listeners

import "github.com/etcdsec/etcdsec/audit"

// PeerCertRequired finds a peer port that lets callers in without a certificate of the peer CA.
func PeerCertRequired() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "peer-cert-required",
		Title:    "The peer port does not require a member's certificate",
		Severity: audit.Critical,
		Rationale: "Peer TLS is the only protection of the peer port. If it requires no certificate, everyone who reaches it can " +
			"act as a member: inject raft messages, replace the database, read the log.",
		Method: "Makes TLS handshakes without a certificate and with one of a foreign CA, and sends GET /version over " +
			"HTTP/1.1. The check never posts anything to a peer port.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the peer CA, and restart the member:"),
				audit.Paste("--peer-client-cert-auth --peer-trusted-ca-file=peer-ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.5", "CIS Kubernetes Benchmark v2.0.1 2.5", "CIS Kubernetes Benchmark v1.12 2.6", "CIS Kubernetes Benchmark v2.0.1 2.6", "STIG V-242426", "STIG V-242380", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Applies:    audit.On(audit.Peer),
		Run: func(t *audit.Listener) audit.Outcome {
			o := judgeCertRequired(t)
			if o.Verdict != audit.Pass {
				return o
			}
			foreign := judgeForeignCA(t, t.Agreed(audit.NoCertificate))
			if foreign.Verdict == audit.Pass {
				foreign.Evidence = o.Evidence + "; " + foreign.Evidence
			}
			return foreign
		},
	})
}
