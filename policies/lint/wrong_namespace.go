package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

func wrongNamespace() Check {
	return Check{
		ID:       "policy-wrong-namespace",
		Title:    "A policy for etcd is in a namespace without members",
		Severity: audit.High,
		Rationale: "A NetworkPolicy selects only Pods of its own namespace. In another one it selects nothing, and the members " +
			"stay open.",
		Method: "Looks for NetworkPolicies that select the members' labels in a namespace where no member is.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Put the members' namespace into metadata.namespace, and delete the policy where it is:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references(),
		Run: func(s *Subject) audit.Outcome {
			if !isHosted(s) {
				return audit.Skipped("the members are on the host network, where a NetworkPolicy has no effect")
			}
			var f findings
			namespace, labels := memberLabels(s)
			for _, p := range s.Filters.Objects.NetworkPolicies {
				own := namespaceOf(p.Metadata)
				if own == namespace || selectsAll(p.Spec.PodSelector) || !reach.Selects(p.Spec.PodSelector, labels) {
					continue
				}
				// Another etcd may be there, which a dump shows.
				if !slices.ContainsFunc(s.Topology.Pods, func(pod *reach.Pod) bool {
					return pod.Namespace == own && reach.Selects(p.Spec.PodSelector, pod.Labels)
				}) {
					f.add("namespace", "%s selects the members' labels, but the members are in %s", nameOf(p), namespace)
				}
			}
			return f.outcome("no policy in another namespace selects the members' labels")
		},
	}
}
