package lint

import (
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func noPeerPort() Check {
	return Check{
		ID:       "policy-no-peer-port",
		Title:    "The policies for etcd forget its peer port",
		Severity: audit.High,
		Rationale: "A policy that selects the members denies every port that it does not name. Without the peer port no member " +
			"reaches another, and the cluster loses its quorum.",
		Method: "Looks for policies that open the members' client port, where no rule of any of them opens the peer port.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Let the members in to their peer port:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references("etcd.io/docs/v3.6/op-guide/clustering"),
		Run: func(s *Subject) audit.Outcome {
			if len(s.Intent.Members) < 2 {
				return audit.Skipped("one member has no peers")
			}
			var names []string
			client, peer := false, false
			for _, p := range ingressPolicies(s) {
				names = append(names, p.name)
				for _, r := range p.rules {
					client, peer = client || r.covers(s.Intent.Ports.Client), peer || r.covers(s.Intent.Ports.Peer)
				}
			}
			if client && !peer && slices.ContainsFunc(s.Filters.Objects.Skipped, func(o kube.Skipped) bool { return o.Effect == kube.MayDecide }) {
				return audit.CouldNotTell("no rule opens the peer port, but not every policy is judged")
			}
			var f findings
			if client && !peer {
				f.add("peer-port", "%s opens port %d, but no rule opens port %d", strings.Join(names, ", "), s.Intent.Ports.Client, s.Intent.Ports.Peer)
			}
			return f.outcome("no policy opens only the client port")
		},
	}
}
