package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/reach"
)

func hostNetwork() Check {
	return Check{
		ID:       "policy-host-network",
		Title:    "A policy selects etcd on the host network, where it does nothing",
		Severity: audit.High,
		Rationale: "A NetworkPolicy never selects a Pod on the host network, where kubeadm runs etcd. Every API server accepts " +
			"such a policy without an error, and still every Pod reaches every port.",
		Method: "Looks for NetworkPolicies, and subjects of ClusterNetworkPolicies, that select nothing but members " +
			"on the host network.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Isolate the hosts instead, and delete the policy:"),
				audit.Paste("etcdsec policies render --backend nftables -f %s", p.Spec()),
			}
		},
		References: references("kubernetes/website#39875", "kubernetes.io/docs/concepts/services-networking/network-policies"),
		Run: func(s *Subject) audit.Outcome {
			if isHosted(s) {
				return audit.Skipped("the members are on the Pod network")
			}
			var f findings
			namespace, labels := memberLabels(s)
			for _, p := range s.Filters.Objects.NetworkPolicies {
				selector := p.Spec.PodSelector
				if namespaceOf(p.Metadata) != namespace || selectsAll(selector) || !reach.Selects(selector, labels) {
					continue
				}
				others := slices.ContainsFunc(s.Topology.Pods, func(pod *reach.Pod) bool {
					return !pod.HostNetwork && pod.Namespace == namespace && reach.Selects(selector, pod.Labels)
				})
				if !others {
					f.add("networkpolicy", "%s selects etcd, which is on the host network", nameOf(p))
				}
			}
			for _, p := range s.Filters.Objects.ClusterNetworkPolicies {
				if of := p.Spec.Subject.Pods; of != nil && !selectsAll(of.PodSelector) && reach.Selects(of.PodSelector, labels) && len(p.Spec.Ingress) > 0 {
					f.add("clusternetworkpolicy", "%s selects etcd, which is on the host network", "ClusterNetworkPolicy "+p.Metadata.Name)
				}
			}
			return f.outcome("no policy selects only members on the host network")
		},
	}
}

func selectsAll(s kube.LabelSelector) bool { return len(s.MatchLabels)+len(s.MatchExpressions) == 0 }
