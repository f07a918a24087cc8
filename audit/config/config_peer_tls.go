package config

import "github.com/etcdsec/etcdsec/audit"

// PeerTLS finds peer listeners that are not all set up for TLS.
func PeerTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-peer-tls",
		Title:    "The peer listeners are not all set up for TLS",
		Severity: audit.Critical,
		Rationale: "The peer port obeys no RBAC: without TLS, who reaches it reads the whole log and can act as a member. " +
			"--peer-cert-file and --peer-key-file do nothing for a listener whose URL is http:// or unix://.",
		Method: "Works out the effective peer URLs and certificate from flags, environment and configuration file by " +
			"etcd's own rules, its defaults included.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set a certificate and leave no http:// or unix:// URL, restart the member, then update its peer URL:"),
				audit.Paste("--listen-peer-urls=https://%s --peer-cert-file=peer.crt --peer-key-file=peer.key", p.Peer()),
				audit.Paste("etcdctl member update MEMBER_ID --peer-urls=https://%s", p.Peer()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.4", "CIS Kubernetes Benchmark v2.0.1 2.4", "STIG V-242432", "STIG V-242433", "NIST 800-53 SC-8", "NIST 800-53 SC-8(2)", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Run:        socketsWorthLess(askEtcd(peerSide().plaintextURLs, peerSide().serverCertificate)),
	})
}
