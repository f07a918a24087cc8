package lint

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// policy is a policy of any kind that lets somebody reach the members.
type policy struct {
	name  string
	rules []rule
}

// rule is one rule that lets somebody in.
type rule struct {
	at        string
	anyone    bool
	everyPort bool
	covers    func(port uint16) bool // false if an earlier rule denies the port to everybody
}

func isHosted(s *Subject) bool { return s.Intent.Runtime == cluster.Hosted }

// nameOf returns the kind and name of a NetworkPolicy.
func nameOf(p kube.NetworkPolicy) string {
	return "NetworkPolicy " + namespaceOf(p.Metadata) + "/" + p.Metadata.Name
}

// memberLabels returns the labels of the members' Pods: those of the spec, or those of kubeadm's
// static Pod (kubernetes/kubernetes cmd/kubeadm/app/util/staticpod/utils.go).
func memberLabels(s *Subject) (namespace string, labels map[string]string) {
	if !isHosted(s) {
		return "kube-system", map[string]string{"component": "etcd", "tier": "control-plane"}
	}
	labels = map[string]string{}
	for _, l := range s.Intent.Pods.Etcd.Labels {
		labels[l.Key] = l.Value
	}
	return s.Intent.Pods.Etcd.Namespace, labels
}

func namespaceOf(m kube.ObjectMeta) string {
	if m.Namespace == "" {
		return "default"
	}
	return m.Namespace
}

// hasDirection reports whether a NetworkPolicy applies to a direction, with the API server's
// defaults.
func hasDirection(p kube.NetworkPolicy, direction string) bool {
	if len(p.Spec.PolicyTypes) == 0 {
		return direction == "Ingress" || len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, direction)
}

// memberPolicies returns the NetworkPolicies that select hosted members in a direction.
func memberPolicies(s *Subject, direction string) []kube.NetworkPolicy {
	var list []kube.NetworkPolicy
	namespace, labels := memberLabels(s)
	if !isHosted(s) {
		return nil
	}
	for _, p := range s.Filters.Objects.NetworkPolicies {
		if namespaceOf(p.Metadata) == namespace && hasDirection(p, direction) && reach.Selects(p.Spec.PodSelector, labels) {
			list = append(list, p)
		}
	}
	return list
}

// ingressPolicies returns the policies that let somebody reach the members.
func ingressPolicies(s *Subject) []policy {
	var list []policy
	for _, p := range memberPolicies(s, "Ingress") {
		q := policy{name: nameOf(p)}
		for n, r := range p.Spec.Ingress {
			q.rules = append(q.rules, rule{
				at: fmt.Sprintf("ingress[%d]", n), anyone: allowsAnyone(r.From), everyPort: len(r.Ports) == 0,
				covers: func(port uint16) bool { return coversPort(r.Ports, port) },
			})
		}
		list = append(list, q)
	}
	if isHosted(s) {
		return list
	}
	return slices.Concat(list, calicoIngress(s), ciliumIngress(s))
}

// allowsAnyone reports whether a list of peers covers everybody, or every Pod.
func allowsAnyone(peers []kube.Peer) bool {
	everyLabel := func(l *kube.LabelSelector) bool {
		return l == nil || len(l.MatchLabels)+len(l.MatchExpressions) == 0
	}
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p kube.Peer) bool {
		if p.IPBlock != nil {
			prefix, err := netip.ParsePrefix(p.IPBlock.CIDR)
			return err == nil && prefix.Bits() == 0 && len(p.IPBlock.Except) == 0
		}
		// An empty podSelector alone is every Pod of the namespace, and no more.
		return everyLabel(p.NamespaceSelector) && everyLabel(p.PodSelector) && (p.NamespaceSelector != nil || p.PodSelector == nil)
	})
}

func coversPort(ports []kube.PolicyPort, port uint16) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p kube.PolicyPort) bool {
		if p.Protocol != "" && p.Protocol != "TCP" {
			return false
		}
		if p.Port == nil {
			return true
		}
		last := p.Port.Int
		if p.EndPort != nil {
			last = *p.EndPort
		}
		return p.Port.String == "" && p.Port.Int <= int32(port) && int32(port) <= last
	})
}

// calicoHosts returns the host endpoints of members' nodes.
func calicoHosts(s *Subject) []kube.HostEndpoint {
	var list []kube.HostEndpoint
	for _, h := range s.Filters.Objects.HostEndpoints {
		if slices.ContainsFunc(memberNodes(s), func(n *reach.Node) bool { return n.Name == h.Spec.Node }) {
			list = append(list, h)
		}
	}
	return list
}

// memberNodes returns the hosts of members that are not Pods.
func memberNodes(s *Subject) []*reach.Node {
	var list []*reach.Node
	for _, n := range s.Topology.Nodes {
		for _, m := range s.Intent.Members {
			if slices.ContainsFunc(m.Addrs, func(a netip.Addr) bool { return slices.Contains(n.Addrs, a) }) {
				list = append(list, n)
				break
			}
		}
	}
	return list
}

func calicoIngress(s *Subject) []policy {
	var list []policy
	hosts := calicoHosts(s)
	policies := slices.Clone(s.Filters.Objects.CalicoPolicies)
	// What has no order comes last.
	order := func(p kube.CalicoPolicy) float64 {
		if p.Spec.Order == nil {
			return math.Inf(1)
		}
		return *p.Spec.Order
	}
	slices.SortStableFunc(policies, func(a, b kube.CalicoPolicy) int { return cmp.Compare(order(a), order(b)) })
	var before []kube.CalicoRule
	for _, p := range policies {
		selected := p.Kind == "GlobalNetworkPolicy" && slices.ContainsFunc(hosts, func(h kube.HostEndpoint) bool {
			return reach.SelectsCalico(p.Spec.Selector, h.Metadata.Labels)
		})
		if !selected {
			continue
		}
		q := policy{name: "GlobalNetworkPolicy " + p.Metadata.Name}
		for n, r := range p.Spec.Ingress {
			earlier := before
			before = append(before, r)
			if r.Action != "Allow" || !calicoIsTCP(r) {
				continue
			}
			q.rules = append(q.rules, rule{
				at: fmt.Sprintf("ingress[%d]", n), anyone: calicoAllowsAnyone(r.Source), everyPort: calicoHasEveryPort(r),
				covers: func(port uint16) bool {
					return calicoCoversPort(r, port) && !slices.ContainsFunc(earlier, func(e kube.CalicoRule) bool {
						return e.Action == "Deny" && calicoIsTCP(e) && calicoAllowsAnyone(e.Source) && calicoCoversPort(e, port)
					})
				},
			})
		}
		list = append(list, q)
	}
	return list
}

func calicoIsTCP(r kube.CalicoRule) bool {
	return r.Protocol == nil || strings.EqualFold(r.Protocol.String, "TCP") || r.Protocol.Int == 6
}

func calicoAllowsAnyone(e *kube.CalicoEntity) bool {
	if e == nil {
		return true
	}
	if e.Selector != "" || e.NamespaceSelector != "" || e.NotSelector != "" || len(e.NotNets) > 0 || len(e.Ports)+len(e.NotPorts) > 0 {
		return false
	}
	return len(e.Nets) == 0 || slices.Contains(e.Nets, "0.0.0.0/0") || slices.Contains(e.Nets, "::/0")
}

func calicoHasEveryPort(r kube.CalicoRule) bool {
	return r.Destination == nil || len(r.Destination.Ports)+len(r.Destination.NotPorts) == 0
}

func calicoCoversPort(r kube.CalicoRule, port uint16) bool {
	if calicoHasEveryPort(r) {
		return true
	}
	in := func(list []kube.CalicoPortRange) bool {
		return slices.ContainsFunc(list, func(p kube.CalicoPortRange) bool {
			first, last, ranged := strings.Cut(p.String, ":")
			if p.String == "" {
				first = strconv.Itoa(int(p.Int))
			}
			if !ranged {
				last = first
			}
			from, err := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			return err == nil && err2 == nil && from <= int(port) && int(port) <= to
		})
	}
	return (len(r.Destination.Ports) == 0 || in(r.Destination.Ports)) && !in(r.Destination.NotPorts)
}

// ciliumRules returns the rules of Cilium's policies for the members' nodes, and the policies'
// names.
func ciliumRules(s *Subject) (rules []kube.CiliumRule, names []string) {
	nodes := memberNodes(s)
	for _, p := range s.Filters.Objects.CiliumPolicies {
		all := slices.Clone(p.Specs)
		if p.Spec != nil {
			all = append(all, *p.Spec)
		}
		for _, r := range all {
			if r.NodeSelector != nil && slices.ContainsFunc(nodes, func(n *reach.Node) bool { return reach.Selects(*r.NodeSelector, n.Labels) }) {
				rules, names = append(rules, r), append(names, p.Kind+" "+p.Metadata.Name)
			}
		}
	}
	return rules, names
}

func ciliumIngress(s *Subject) []policy {
	var list []policy
	rules, names := ciliumRules(s)
	denied := func(port uint16) bool {
		return slices.ContainsFunc(rules, func(r kube.CiliumRule) bool {
			return slices.ContainsFunc(r.IngressDeny, func(i kube.CiliumIngress) bool { return ciliumAllowsAnyone(i) && ciliumCoversPort(i, port) })
		})
	}
	for n, r := range rules {
		q := policy{name: names[n]}
		for k, i := range r.Ingress {
			q.rules = append(q.rules, rule{
				at: fmt.Sprintf("ingress[%d]", k), anyone: ciliumAllowsAnyone(i), everyPort: len(i.ToPorts) == 0,
				covers: func(port uint16) bool { return ciliumCoversPort(i, port) && !denied(port) },
			})
		}
		list = append(list, q)
	}
	return list
}

func ciliumAllowsAnyone(i kube.CiliumIngress) bool {
	none := len(i.FromEndpoints)+len(i.FromNodes)+len(i.FromCIDR)+len(i.FromCIDRSet)+len(i.FromEntities) == 0
	return none || slices.Contains(i.FromEntities, "all") || slices.Contains(i.FromEntities, "world") ||
		slices.Contains(i.FromCIDR, "0.0.0.0/0") || slices.Contains(i.FromCIDR, "::/0")
}

func ciliumCoversPort(i kube.CiliumIngress, port uint16) bool {
	return len(i.ToPorts) == 0 || slices.ContainsFunc(i.ToPorts, func(r kube.CiliumPortRule) bool {
		return len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(p kube.CiliumPort) bool {
			n, err := strconv.Atoi(p.Port)
			return err == nil && (n == 0 || n == int(port) || n < int(port) && int(port) <= int(p.EndPort))
		})
	})
}
