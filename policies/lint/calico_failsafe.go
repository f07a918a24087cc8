package lint

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

func calicoFailsafe() Check {
	return Check{
		ID:       "policy-calico-failsafe",
		Title:    "Calico's failsafe ports leave etcd open to everybody",
		Severity: audit.High,
		Rationale: "Felix opens its failsafe ports before it asks any policy, and 2379 and 2380 are among them by " +
			"default, from everywhere. A GlobalNetworkPolicy alone never closes them.",
		Method: "Looks at the failsafe ports of each member's host endpoint, as its FelixConfiguration or the default " +
			"has them, for the client and the peer port without a network.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set failsafeInboundHostPorts of the FelixConfiguration to networks, before the host endpoints:"),
				audit.Paste("etcdsec policies render --backend calico -f %s", p.Spec()),
			}
		},
		References: references("projectcalico/calico felix/config/config_params.go", "projectcalico/calico#4493"),
		Run: func(s *Subject) audit.Outcome {
			hosts := calicoHosts(s)
			if len(hosts) == 0 {
				return audit.Skipped("no host endpoint is of a member")
			}
			var f findings
			for _, h := range hosts {
				for _, port := range []uint16{s.Intent.Ports.Client, s.Intent.Ports.Peer} {
					if by, open := reach.OpenFailsafe(s.Filters.Objects.FelixConfigurations, h.Spec.Node, port); open {
						f.add(fmt.Sprintf("port-%d", port), "HostEndpoint %s: %s", h.Metadata.Name, by)
					}
				}
			}
			return f.or("the failsafe ports of the members' host endpoints leave etcd's to networks, or out")
		},
	}
}
