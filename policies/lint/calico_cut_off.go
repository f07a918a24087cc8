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
		Method: "Checks whether another host still reaches the kubelet, port 10250.",
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
			return cutOutcome(s, true)
		},
	}
}

// cutOutcome judges whether the kubelets of the members' nodes are denied by Calico, or else by Cilium.
func cutOutcome(s *Subject, calico bool) audit.Outcome {
	var f findings
	unknown := ""
	for _, c := range reach.Cuts(s.Intent, s.Topology, s.Filters) {
		switch {
		case c.Calico != calico:
		case c.Unknown == "":
			f.add("kubelet", "port 10250 of %s is denied by %s", c.Node, c.DecidedBy)
		case unknown == "":
			unknown = "port 10250 of " + c.Node + ": " + c.Unknown
		}
	}
	if len(f) == 0 && unknown != "" {
		return audit.CouldNotTell(unknown)
	}
	return f.outcome("the kubelets of the members' nodes can be reached")
}
