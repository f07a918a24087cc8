package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

func apiServerByPodSelector() Check {
	return Check{
		ID:       "policy-api-server-by-pod-selector",
		Title:    "A rule selects API servers on the host network by label",
		Severity: audit.High,
		Rationale: "Their packets have the address of their node, which no podSelector matches: the API server is locked out " +
			"and the control plane is down.",
		Method: "Looks for rules of policies on the members that select component=kube-apiserver, where the spec or a " +
			"dump has the API servers on the host network.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Name the addresses of their nodes in ipBlocks:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references("kubernetes/website#39875"),
		Run: func(s *Subject) audit.Outcome {
			labels := map[string]string{"component": "kube-apiserver", "tier": "control-plane"}
			onHost := s.Intent.Pods.APIServer.IsZero() || slices.ContainsFunc(s.Topology.Pods, func(p *reach.Pod) bool {
				return p.HostNetwork && p.Labels["component"] == "kube-apiserver"
			})
			if !isHosted(s) || !onHost {
				return audit.Skipped("no API server on the host network reaches a member on the Pod network")
			}
			var f findings
			for _, p := range memberPolicies(s, "Ingress") {
				for n, r := range p.Spec.Ingress {
					for _, peer := range r.From {
						if peer.PodSelector != nil && !selectsAll(*peer.PodSelector) && reach.Selects(*peer.PodSelector, labels) {
							f.add("selector", "%s ingress[%d] selects API servers by label, but they are on the host network", nameOf(p), n)
						}
					}
				}
			}
			return f.outcome("no rule selects API servers by label")
		},
	}
}
