package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

func calicoCutOff() Check {
	return Check{
		ID:       "policy-calico-cut-off",
		Title:    "A host endpoint cuts a member's node off",
		Severity: audit.High,
		Rationale: "A host endpoint denies what no profile and no policy allows, and a policy denies what its rules do not " +
			"match. Then nobody reaches the kubelet, nor anything else on the node.",
		Method: "Checks whether another member's host still reaches the kubelet, port 10250.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the host endpoint the profile projectcalico-default-allow, and end the last policy with a rule that passes:"),
				audit.Paste("spec: {profiles: [projectcalico-default-allow]}"),
				audit.Paste("- {action: Pass}"),
			}
		},
		References: references("docs.tigera.io/calico/latest/reference/host-endpoints/overview"),
		Run: func(s *Subject) audit.Outcome {
			if len(calicoHosts(s)) == 0 {
				return audit.Skipped("no member has a host endpoint")
			}
			var f findings
			for _, c := range reach.Cuts(s.Intent, s.Topology, s.Filters) {
				if c.Calico {
					f.add("kubelet", "port 10250 of %s is denied by %s", c.Node, c.DecidedBy)
				}
			}
			return f.outcome("the kubelets of the members' nodes can be reached")
		},
	}
}
