package lint

import (
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

func ipBlockOfPods() Check {
	return Check{
		ID:       "policy-ip-block-of-pods",
		Title:    "A policy names Pods by their addresses",
		Severity: audit.Medium,
		Rationale: "A Pod gets a new address each time it starts, and another Pod may get the old one. ipBlock is for addresses " +
			"outside of the cluster, and on some networks it never matches Pods.",
		Method: "Looks for ipBlocks inside of spec.isolation.podCIDRs in the policies on the members.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Select the Pods by label: podSelector and namespaceSelector in place of ipBlock."),
			}
		},
		References: references("kubernetes.io/docs/concepts/services-networking/network-policies"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range memberPolicies(s, "Ingress") {
				for n, r := range p.Spec.Ingress {
					for _, peer := range r.From {
						if peer.IPBlock == nil {
							continue
						}
						block, err := netip.ParsePrefix(peer.IPBlock.CIDR)
						if err == nil && slices.ContainsFunc(s.Intent.PodCIDRs, func(pods netip.Prefix) bool { return pods.Bits() < block.Bits() && pods.Contains(block.Addr()) }) {
							f.add("ip-block", "%s ingress[%d] lets in %s, an address range of Pods", nameOf(p), n, block)
						}
					}
				}
			}
			return f.outcome("no policy on the members names Pods by their addresses")
		},
	}
}
