package lint

import "github.com/etcdsec/etcdsec/audit"

func emptyPorts() Check {
	return Check{
		ID:       "policy-empty-ports",
		Title:    "A rule opens every port of etcd",
		Severity: audit.Medium,
		Rationale: "A rule without ports opens all of them. Whoever may reach the client port also reaches the peer port, " +
			"which obeys no RBAC.",
		Method: "Looks for rules for the members that name no port.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Name the ports: 2379 for API servers, 2379 and 2380 for members, 2381 for scrapers:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references(),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range ingressPolicies(s) {
				for _, r := range p.rules {
					if r.everyPort && r.covers(s.Intent.Ports.Peer) {
						f.add("ports", "%s %s names no port", p.name, r.at)
					}
				}
			}
			return f.outcome("every rule for the members names its ports")
		},
	}
}
