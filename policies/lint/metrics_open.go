package lint

import "github.com/etcdsec/etcdsec/audit"

func metricsOpen() Check {
	return Check{
		ID:       "policy-metrics-open",
		Title:    "A rule opens the metrics port to everybody",
		Severity: audit.Medium,
		Rationale: "Metrics show the names of users, and the size and load of the store. On a plaintext port, reading them " +
			"needs no certificate.",
		Method: "Looks for a rule without a source that opens the metrics port.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Let only spec.isolation.scrapers in:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references(),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range ingressPolicies(s) {
				for _, r := range p.rules {
					if r.anyone && r.covers(s.Intent.Ports.Metrics) {
						f.add("metrics", "%s %s lets everybody in to port %d", p.name, r.at, s.Intent.Ports.Metrics)
					}
				}
			}
			return f.outcome("no rule lets everybody in to the metrics port")
		},
	}
}
