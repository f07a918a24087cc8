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
		Rationale: "Felix opens its failsafe ports before it applies any policy. By default they include 2379 and 2380, for " +
			"every sender. A GlobalNetworkPolicy alone never closes them.",
		Method: "Reads the failsafe ports of each member's host endpoint, from its FelixConfiguration or the default. " +
			"Finds the client or peer port without a network.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Limit failsafeInboundHostPorts of the FelixConfiguration to networks, before you make the host endpoints:"),
				audit.Paste("etcdsec policies render --backend calico -f %s", p.Spec()),
			}
		},
		References: references("projectcalico/calico felix/config/config_params.go", "projectcalico/calico#4493"),
		Run: func(s *Subject) audit.Outcome {
			hosts := calicoHosts(s)
			if len(hosts) == 0 {
				return audit.Skipped("no member has a host endpoint")
			}
			var f findings
			for _, h := range hosts {
				for _, port := range []uint16{s.Intent.Ports.Client, s.Intent.Ports.Peer} {
					if by, open := reach.OpenFailsafe(s.Filters.Objects.FelixConfigurations, h.Spec.Node, port); open {
						f.add(fmt.Sprintf("port-%d", port), "HostEndpoint %s: %s", h.Metadata.Name, by)
					}
				}
			}
			return f.outcome("no failsafe port opens etcd's ports to every sender")
		},
	}
}
