package lint

import "github.com/etcdsec/etcdsec/audit"

func ignoredRules() Check {
	return Check{
		ID:        "policy-ignored-rules",
		Title:     "A policy has rules that its policyTypes leave out",
		Severity:  audit.Medium,
		Rationale: "Rules of a direction that policyTypes does not name are stored and do nothing.",
		Method:    "Compares policyTypes with the directions that have rules.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Name both directions in policyTypes, or remove the rules."),
			}
		},
		References: references("k8s.io/api/networking/v1"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.Filters.Objects.NetworkPolicies {
				if len(p.Spec.Ingress) > 0 && !hasDirection(p, "Ingress") {
					f.add("ingress", "%s has ingress rules, but policyTypes has no Ingress", nameOf(p))
				}
				if len(p.Spec.Egress) > 0 && !hasDirection(p, "Egress") {
					f.add("egress", "%s has egress rules, but policyTypes has no Egress", nameOf(p))
				}
			}
			return f.outcome("policyTypes names every direction that has rules")
		},
	}
}
