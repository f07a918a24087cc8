package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

func selectsNothing() Check {
	return Check{
		ID:        "policy-selects-nothing",
		Title:     "A policy selects no Pod at all",
		Severity:  audit.Medium,
		Rationale: "If a label is misspelt or has changed, the policy has no effect, and nobody gets an error.",
		Method:    "Compares the selectors of NetworkPolicies with the Pods of a dump.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Compare the labels with those of the Pods:"),
				audit.Paste("kubectl get pods -A --show-labels"),
			}
		},
		References: references(),
		Run: func(s *Subject) audit.Outcome {
			if len(s.Topology.Pods) == 0 {
				return audit.Skipped("no dump lists the Pods")
			}
			var f findings
			for _, p := range s.Filters.Objects.NetworkPolicies {
				selected := slices.ContainsFunc(s.Topology.Pods, func(pod *reach.Pod) bool {
					return pod.Namespace == namespaceOf(p.Metadata) && reach.Selects(p.Spec.PodSelector, pod.Labels)
				})
				if !selected && !selectsAll(p.Spec.PodSelector) {
					f.add("nothing", "%s selects none of the Pods", nameOf(p))
				}
			}
			return f.outcome("every NetworkPolicy selects a Pod")
		},
	}
}
