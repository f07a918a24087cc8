package lint

import "github.com/etcdsec/etcdsec/audit"

func noEgress() Check {
	return Check{
		ID:        "policy-no-egress",
		Title:     "Nothing limits where etcd connects to",
		Severity:  audit.Low,
		Rationale: "A member only needs to reach its peers. Whoever takes over a member can send the stored data anywhere.",
		Method:    "Looks for a NetworkPolicy on the members that has Egress in its policyTypes.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Add the egress rules:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references(),
		Run: func(s *Subject) audit.Outcome {
			if !isHosted(s) {
				return audit.Skipped("a NetworkPolicy has no effect on the host network")
			}
			if len(memberPolicies(s, "Ingress")) == 0 {
				return audit.Skipped("no NetworkPolicy selects the members")
			}
			var f findings
			if len(memberPolicies(s, "Egress")) == 0 {
				f.add("egress", "no policy on the members has Egress")
			}
			return f.outcome("a policy limits what the members send")
		},
	}
}
