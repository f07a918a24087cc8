package listeners

import "github.com/etcdsec/etcdsec/audit"

// PeerPlaintext finds a peer port that answers without TLS.
func PeerPlaintext() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "peer-plaintext",
		Title:    "The peer port answers without TLS",
		Severity: audit.Critical,
		Rationale: "The peer port ignores RBAC: everyone who reaches it without TLS can inject raft messages, replace the " +
			"database and read the whole log as it is written.",
		Method: "Sends GET /version over HTTP/1.1 without TLS, even if the port speaks TLS.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the peer port TLS and no http:// URL, then update the member's peer URL and restart it:"),
				audit.Paste("--listen-peer-urls=https://%s --peer-cert-file=peer.crt --peer-key-file=peer.key --peer-client-cert-auth "+
					"--peer-trusted-ca-file=peer-ca.crt", p.Peer()),
				audit.Paste("etcdctl member update %s --peer-urls=https://%s", p.Member(), p.Peer()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.4", "CIS Kubernetes Benchmark v2.0.1 2.4", "STIG V-242432", "STIG V-242433", "NIST 800-53 SC-8", "NIST 800-53 SC-8(2)", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Applies:    audit.On(audit.Peer),
		Run: func(t *audit.Listener) audit.Outcome {
			return judgePlaintext(t, t.Plaintext, audit.RPC{})
		},
	})
}
