package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func priorityTie() Check {
	return Check{
		ID:        "policy-priority-tie",
		Title:     "Two cluster policies have the same priority",
		Severity:  audit.Medium,
		Rationale: "The network plugin chooses which of them comes first, and its next release may choose differently.",
		Method:    "Compares tier and priority of ClusterNetworkPolicies.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give each a priority of its own: the lower number comes first."),
			}
		},
		References: references("sigs.k8s.io/network-policy-api apis/v1alpha2"),
		Run: func(s *Subject) audit.Outcome {
			type place struct {
				tier     string
				priority int32
			}
			var f findings
			first := map[place]kube.ClusterNetworkPolicy{}
			for _, p := range s.Filters.Objects.ClusterNetworkPolicies {
				at := place{p.Spec.Tier, p.Spec.Priority}
				if before, there := first[at]; there {
					f.add("tie", "%s and %s have priority %d in tier %s", before.Metadata.Name, p.Metadata.Name, at.priority, at.tier)
					continue
				}
				first[at] = p
			}
			return f.outcome("every cluster policy has a priority of its own")
		},
	}
}
