package listeners

import "github.com/etcdsec/etcdsec/audit"

// MetricsPlaintext finds a metrics port on the network that answers without TLS.
func MetricsPlaintext() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "metrics-plaintext",
		Title:    "The metrics port answers without TLS on the network",
		Severity: audit.Low,
		Rationale: "Everyone on the path between etcd and its scraper can read the metrics, and change them: then an alert about " +
			"a full database or a lost leader never arrives.",
		Method: "Sends GET /metrics over HTTP/1.1 without TLS, even if the port speaks TLS. A metrics listener on a loopback " +
			"address passes.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Keep the metrics on the loopback address, or give the port TLS, with the certificate of the client port; " +
					"restart the member:"),
				audit.Paste("--listen-metrics-urls=http://127.0.0.1:2381"),
				audit.Paste("--listen-metrics-urls=https://%s:2381", p.Host()),
			}
		},
		References: []string{"NIST 800-53 SC-8", "NIST 800-53 SC-8(1)", "PCI DSS 4.0.1 2.2.7", "NSA/CISA Kubernetes Hardening Guide v1.2: etcd"},
		Applies:    audit.On(audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			if t.NothingListens() {
				return audit.Passed("nothing listens")
			}
			o := judgePlaintext(t, t.Plaintext, audit.RPC{})
			if o.Verdict == audit.Fail && isOnLoopback(t) {
				return audit.Passed("loopback only: " + o.Findings[0].Text)
			}
			return o
		},
	})
}
