package lint

import "github.com/etcdsec/etcdsec/audit"

func noNamespace() Check {
	return Check{
		ID:        "policy-no-namespace",
		Title:     "A policy names no namespace",
		Severity:  audit.Medium,
		Rationale: "kubectl creates it in the current namespace, usually default, where it selects the wrong Pods.",
		Method:    "Looks for metadata.namespace in NetworkPolicies, also in those of Calico and Cilium.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Write metadata.namespace into the file:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references(),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.Filters.Objects.NetworkPolicies {
				if p.Metadata.Namespace == "" {
					f.add("networkpolicy", "NetworkPolicy %s names no namespace", p.Metadata.Name)
				}
			}
			for _, p := range s.Filters.Objects.CalicoPolicies {
				if p.Kind == "NetworkPolicy" && p.Metadata.Namespace == "" {
					f.add("calico", "Calico NetworkPolicy %s names no namespace", p.Metadata.Name)
				}
			}
			for _, p := range s.Filters.Objects.CiliumPolicies {
				if p.Kind == "CiliumNetworkPolicy" && p.Metadata.Namespace == "" {
					f.add("cilium", "CiliumNetworkPolicy %s names no namespace", p.Metadata.Name)
				}
			}
			return f.outcome("every policy that needs a namespace names it")
		},
	}
}
