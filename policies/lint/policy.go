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
	"github.com/etcdsec/etcdsec/policies"
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

// doubtful returns a rule that has fields which are not read. It may open any port, to whom is not known.
func doubtful(at string) rule {
	return rule{at: at, covers: func(uint16) bool { return true }}
}

// isDoubtful reports whether a policy has unread fields that concern a rule.
func isDoubtful(unread kube.Unread, at string) bool {
	return unread.Below("spec."+at) != "" || unread.Beside("spec.ingress", "spec.egress") != ""
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
			at := fmt.Sprintf("ingress[%d]", n)
			if isDoubtful(p.Unread, at) {
				q.rules = append(q.rules, doubtful(at))
				continue
			}
			q.rules = append(q.rules, rule{
				at: at, anyone: allowsAnyone(r.From), everyPort: len(r.Ports) == 0,
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
	ordered := slices.Clone(s.Filters.Objects.CalicoPolicies)
	// What has no order comes last.
	order := func(p kube.CalicoPolicy) float64 {
		if p.Spec.Order == nil {
			return math.Inf(1)
		}
		return *p.Spec.Order
	}
	slices.SortStableFunc(ordered, func(a, b kube.CalicoPolicy) int { return cmp.Compare(order(a), order(b)) })
	var before []kube.CalicoRule
	for _, p := range ordered {
		selected := p.Kind == "GlobalNetworkPolicy" && slices.ContainsFunc(hosts, func(h kube.HostEndpoint) bool {
			return reach.SelectsCalico(p.Spec.Selector, h.Metadata.Labels)
		})
		if !selected {
			continue
		}
		q := policy{name: "GlobalNetworkPolicy " + p.Metadata.Name}
		for n, r := range p.Spec.Ingress {
			at := fmt.Sprintf("ingress[%d]", n)
			earlier := before
			if isDoubtful(p.Unread, at) {
				q.rules = append(q.rules, doubtful(at))
				continue
			}
			before = append(before, r)
			if r.Action != "Allow" || !calicoIsTCP(r) || !calicoMeans(s, r.Destination, false) {
				continue
			}
			q.rules = append(q.rules, rule{
				at: at, anyone: calicoAllowsAnyone(r.Source), everyPort: calicoHasEveryPort(r),
				covers: func(port uint16) bool {
					return calicoCoversPort(r, port) && !slices.ContainsFunc(earlier, func(e kube.CalicoRule) bool {
						return e.Action == "Deny" && calicoIsTCP(e) && calicoMeans(s, e.Destination, true) && calicoAllowsAnyone(e.Source) && calicoCoversPort(e, port)
					})
				},
			})
		}
		list = append(list, q)
	}
	return list
}

// calicoMeans reports whether the destination of a rule is a member or, with all, every member. Without
// nets and selectors it is everything that the policy selects.
func calicoMeans(s *Subject, e *kube.CalicoEntity, all bool) bool {
	if e == nil {
		return true
	}
	nets, err := policies.ParseNetworks(e.Nets)
	notNets, err2 := policies.ParseNetworks(e.NotNets)
	if err != nil || err2 != nil {
		return false // Prove says so
	}
	within := func(list []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	selected := func(a netip.Addr) bool {
		if e.Selector == "" && e.NotSelector == "" && e.NamespaceSelector == "" {
			return true
		}
		return slices.ContainsFunc(calicoHosts(s), func(h kube.HostEndpoint) bool {
			return slices.Contains(h.Spec.ExpectedIPs, a.String()) &&
				(e.NamespaceSelector == "" || e.NamespaceSelector == "global()") &&
				(e.Selector == "" || reach.SelectsCalico(e.Selector, h.Metadata.Labels)) &&
				(e.NotSelector == "" || !reach.SelectsCalico(e.NotSelector, h.Metadata.Labels))
		})
	}
	found := false
	for _, a := range s.Intent.MemberAddrs() {
		is := (len(nets) == 0 || within(nets, a)) && !within(notNets, a) && selected(a)
		if all && !is {
			return false
		}
		found = found || is
	}
	return found
}

func calicoIsTCP(r kube.CalicoRule) bool {
	if r.NotProtocol != nil && (strings.EqualFold(r.NotProtocol.String, "TCP") || r.NotProtocol.Int == 6) {
		return false
	}
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
			return slices.ContainsFunc(r.IngressDeny, func(i kube.CiliumIngress) bool {
				return len(i.ICMPs) == 0 && ciliumAllowsAnyone(i) && ciliumCoversPort(i, port)
			})
		})
	}
	partly := map[string]bool{}
	for _, p := range s.Filters.Objects.CiliumPolicies {
		if len(p.Unread) > 0 {
			partly[p.Kind+" "+p.Metadata.Name] = true
		}
	}
	for n, r := range rules {
		q := policy{name: names[n]}
		for k, i := range r.Ingress {
			switch {
			case partly[names[n]]:
				q.rules = append(q.rules, doubtful(fmt.Sprintf("ingress[%d]", k)))
				continue
			case len(i.ICMPs) > 0:
				continue // it is about no other protocol
			}
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
			tcp := p.Protocol == "" || strings.EqualFold(p.Protocol, "TCP") || strings.EqualFold(p.Protocol, "ANY")
			return tcp && err == nil && (n == 0 || n == int(port) || n < int(port) && int(port) <= int(p.EndPort))
		})
	})
}
