package config

import "github.com/etcdsec/etcdsec/audit"

// PeerTLS finds peer listeners whose settings give them no TLS.
func PeerTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-peer-tls",
		Title:    "Not all peer listeners are configured for TLS",
		Severity: audit.Critical,
		Rationale: "The peer port ignores RBAC: without TLS, everyone who reaches it can read the whole log and act as a member. " +
			"--peer-cert-file and --peer-key-file have no effect on a listener whose URL is http:// or unix://.",
		Method: "Works out the effective peer URLs and certificate from flags, environment and configuration file by etcd's " +
			"own rules, including its defaults.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set a certificate and remove every http:// and unix:// URL, restart the member, then update its peer URL:"),
				audit.Paste("--listen-peer-urls=https://%s --peer-cert-file=peer.crt --peer-key-file=peer.key", p.Peer()),
				audit.Paste("etcdctl member update %s --peer-urls=https://%s", p.Member(), p.Peer()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.4", "CIS Kubernetes Benchmark v2.0.1 2.4", "STIG V-242432", "STIG V-242433", "NIST 800-53 SC-8", "NIST 800-53 SC-8(2)", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Run:        lowerForSockets(askEtcd(peerSide().checkPlaintextURLs, peerSide().checkServerCertificate)),
	})
}
