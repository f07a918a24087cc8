package lint

import (
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/reach"
)

func ciliumCIDROfNodes() Check {
	return Check{
		ID:       "policy-cilium-cidr-of-nodes",
		Title:    "A policy of Cilium names nodes by their addresses",
		Severity: audit.High,
		Rationale: "In Cilium, a CIDR matches no node and no Pod of the cluster, unless policyCIDRMatchMode includes nodes. " +
			"Members that a rule names by address are locked out.",
		Method: "Looks for a fromCIDR or fromCIDRSet that is the address of a node, in rules that name nodes in no other " +
			"way.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Name them by label (fromNodes, with nodeSelectorLabels=true) or as entities (remote-node, kube-apiserver):"),
				audit.Paste("etcdsec policies render --backend cilium -f %s", p.Spec()),
			}
		},
		References: references("docs.cilium.io/en/stable/security/policy/language"),
		Run: func(s *Subject) audit.Outcome {
			rules, names := ciliumRules(s)
			if len(rules) == 0 {
				return audit.Skipped("no policy of Cilium selects a member's node")
			}
			ofNode := func(cidr string) bool {
				p, err := netip.ParsePrefix(cidr)
				return err == nil && p.IsSingleIP() && slices.ContainsFunc(s.Topology.Nodes, func(n *reach.Node) bool {
					return n.Kubernetes && slices.Contains(n.Addrs, p.Addr().Unmap())
				})
			}
			var f findings
			for n, r := range rules {
				for _, i := range r.Ingress {
					cidrs := slices.Clone(i.FromCIDR)
					for _, c := range i.FromCIDRSet {
						cidrs = append(cidrs, c.CIDR)
					}
					if at := slices.IndexFunc(cidrs, ofNode); at >= 0 && !namesNodes(i) {
						f.add("cidr", "%s lets in %s, which is the address of a node", names[n], cidrs[at])
					}
				}
			}
			return f.outcome("no rule for a member's node names nodes by their addresses alone")
		},
	}
}

// namesNodes reports whether a rule also names nodes in a way that matches them.
func namesNodes(i kube.CiliumIngress) bool {
	return len(i.FromNodes) > 0 || slices.ContainsFunc(i.FromEntities, func(entity string) bool {
		return slices.Contains([]string{"all", "cluster", "remote-node", "host", "kube-apiserver"}, entity)
	})
}
