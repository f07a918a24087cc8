package lint

import "github.com/etcdsec/etcdsec/audit"

func noPolicyTypes() Check {
	return Check{
		ID:       "policy-no-policy-types",
		Title:    "A policy has no policyTypes",
		Severity: audit.Low,
		Rationale: "The API server fills them in, but tools that read only the file do not: sigs.k8s.io/kube-network-policies " +
			"v1.1.1 ignores such a policy.",
		Method: "Looks for policyTypes in NetworkPolicies.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Write the directions into the file:"),
				audit.Paste("policyTypes: [Ingress]"),
			}
		},
		References: references("k8s.io/api/networking/v1"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.Filters.Objects.NetworkPolicies {
				if len(p.Spec.PolicyTypes) == 0 {
					f.add("policy-types", "%s has no policyTypes", nameOf(p))
				}
			}
			return f.outcome("every NetworkPolicy has policyTypes")
		},
	}
}
