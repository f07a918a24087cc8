package reach

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func networkPolicyEngine() engine {
	return engine{
		backend: cluster.BackendNetworkPolicy, compile: compileNetworkPolicies, selects: selectNetworkPolicies,
		distinguish: distinguishByNetworkPolicies,
		assumptions: func(e *evaluator) []string {
			if len(e.network) == 0 {
				return nil
			}
			return []string{"the network of the Pods enforces NetworkPolicies"}
		},
	}
}

func compileNetworkPolicies(e *evaluator, o *kube.Objects, note func(error) bool) {
	for _, p := range o.NetworkPolicies {
		if n, err := newNetworkPolicy(p); note(err) {
			e.network[n.namespace] = append(e.network[n.namespace], n)
		} else {
			namespace := orDefault(p.Metadata.Namespace)
			e.addUnread(namespace, "NetworkPolicy "+namespace+"/"+p.Metadata.Name, "is not judged: "+err.Error())
		}
	}
	for _, s := range skippedOf(o, "networking.k8s.io") {
		e.addUnread(orDefault(s.namespace), s.title(), s.why)
	}
}

// addUnread adds a NetworkPolicy of which nothing is known. It may select any Pod of its namespace.
func (e *evaluator) addUnread(namespace, name, why string) {
	e.network[namespace] = append(e.network[namespace], &networkPolicy{
		name: name, namespace: namespace, ingress: true, egress: true,
		unread: unreadReason(cluster.BackendNetworkPolicy, name, why),
	})
}

func selectNetworkPolicies(e *evaluator, p *Pod, to *podPolicies) {
	in, out := &to.directions[0], &to.directions[1]
	for _, n := range e.network[p.Namespace] {
		if !n.pods.matches(p.Labels) {
			continue
		}
		if n.ingress {
			in.network = append(in.network, n)
		}
		if n.egress {
			out.network = append(out.network, n)
		}
	}
}

func distinguishByNetworkPolicies(s *signatures) {
	peer := func(p networkPeer) {
		s.mention(p.pods)
		if p.namespaces != nil {
			s.mention(*p.namespaces)
		}
		if p.block != nil {
			s.addBoundaries(p.block.in)
			s.addBoundaries(p.block.except...)
		}
	}
	for namespace, list := range s.e.network {
		s.namespaces[namespace] = true
		for _, p := range list {
			s.mention(p.pods)
			for _, r := range slices.Concat(p.in, p.out) {
				for _, other := range r.peers {
					peer(other)
				}
			}
		}
	}
}

// networkPolicy is a NetworkPolicy as the API server stores it, with its defaults
// (k8s.io/api/networking/v1 types.go; pkg/apis/networking/v1/defaults.go in kubernetes/kubernetes).
type networkPolicy struct {
	name, namespace string
	pods            selector
	ingress, egress bool // the directions of policyTypes
	in, out         []networkRule
	unread          *reason // of one that is not read as a whole
}

type networkRule struct {
	reason *reason
	peers  []networkPeer // none is anybody
	ports  []networkPort // none is any port
	unread string        // why it may match anything
}

type networkPeer struct {
	pods       selector
	namespaces *selector // nil is the policy's own
	block      *block
}

type block struct {
	in     netip.Prefix
	except []netip.Prefix
}

func (b block) contains(a netip.Addr) bool { return b.in.Contains(a) && !isWithin(a, b.except) }

type networkPort struct {
	name        string
	first, last uint16
	any         bool // of the protocol
}

// newNetworkPolicy fills in the API server's defaults. The error says why the API server refuses the
// policy.
func newNetworkPolicy(p kube.NetworkPolicy) (*networkPolicy, error) {
	n := &networkPolicy{namespace: orDefault(p.Metadata.Namespace)}
	n.name = "NetworkPolicy " + n.namespace + "/" + p.Metadata.Name
	if field := p.Unread.Beside("spec.ingress", "spec.egress"); field != "" {
		n.unread = unreadReason(cluster.BackendNetworkPolicy, n.name, notRead(field))
	}
	var err error
	if n.pods, err = newSelector(p.Spec.PodSelector); err != nil {
		return nil, fmt.Errorf("%s: spec.podSelector: %w", n.name, err)
	}
	if p.Unread.Below("spec.podSelector") != "" {
		n.pods = nil // it may select any Pod
	}
	// Without policyTypes they are Ingress, and Egress if there is a rule for it.
	n.ingress = len(p.Spec.PolicyTypes) == 0 || slices.Contains(p.Spec.PolicyTypes, "Ingress")
	n.egress = len(p.Spec.PolicyTypes) == 0 && len(p.Spec.Egress) > 0 || slices.Contains(p.Spec.PolicyTypes, "Egress")
	for _, t := range p.Spec.PolicyTypes {
		if t != "Ingress" && t != "Egress" {
			return nil, fmt.Errorf("%s: spec.policyTypes: unknown type %q; want Ingress or Egress", n.name, t)
		}
	}
	for i, r := range p.Spec.Ingress {
		rule, err := newNetworkRule(r.From, r.Ports)
		if err != nil {
			return nil, fmt.Errorf("%s: spec.ingress[%d]: %w", n.name, i, err)
		}
		rule.reason = &reason{Decision: Decision{Kind: ByRule, Engine: cluster.BackendNetworkPolicy, Policy: n.name, Rule: fmt.Sprintf("ingress[%d]", i)}}
		rule.unread = notRead(p.Unread.Below(fmt.Sprintf("spec.ingress[%d]", i)))
		n.in = append(n.in, rule)
	}
	for i, r := range p.Spec.Egress {
		rule, err := newNetworkRule(r.To, r.Ports)
		if err != nil {
			return nil, fmt.Errorf("%s: spec.egress[%d]: %w", n.name, i, err)
		}
		rule.reason = &reason{Decision: Decision{Kind: ByRule, Engine: cluster.BackendNetworkPolicy, Policy: n.name, Rule: fmt.Sprintf("egress[%d]", i), Egress: true}}
		rule.unread = notRead(p.Unread.Below(fmt.Sprintf("spec.egress[%d]", i)))
		n.out = append(n.out, rule)
	}
	return n, nil
}

func newNetworkRule(peers []kube.Peer, ports []kube.PolicyPort) (networkRule, error) {
	var r networkRule
	for i, p := range peers {
		peer, err := newNetworkPeer(p)
		if err != nil {
			return r, fmt.Errorf("peer %d: %w", i, err)
		}
		r.peers = append(r.peers, peer)
	}
	for i, p := range ports {
		port, tcp, err := newNetworkPort(p)
		if err != nil {
			return r, fmt.Errorf("ports[%d]: %w", i, err)
		}
		if tcp {
			r.ports = append(r.ports, port)
		}
	}
	if len(ports) > 0 && len(r.ports) == 0 {
		r.ports = []networkPort{{first: 1}} // only other protocols: no TCP port is in it
	}
	return r, nil
}

func newNetworkPeer(p kube.Peer) (networkPeer, error) {
	var peer networkPeer
	switch {
	case p.IPBlock != nil && (p.PodSelector != nil || p.NamespaceSelector != nil):
		return peer, fmt.Errorf("has ipBlock and a selector, which the API server refuses")
	case p.IPBlock != nil:
		in, err := policies.ParseNetwork(p.IPBlock.CIDR)
		if err != nil {
			return peer, fmt.Errorf("ipBlock.cidr: %w", err)
		}
		except, err := policies.ParseNetworks(p.IPBlock.Except)
		if err != nil {
			return peer, fmt.Errorf("ipBlock.except: %w", err)
		}
		peer.block = &block{in, except}
		return peer, nil
	case p.PodSelector == nil && p.NamespaceSelector == nil:
		return peer, fmt.Errorf("is empty, which the API server refuses")
	}
	var err error
	if p.PodSelector != nil {
		if peer.pods, err = newSelector(*p.PodSelector); err != nil {
			return peer, fmt.Errorf("podSelector: %w", err)
		}
	}
	if p.NamespaceSelector != nil {
		namespaces, err := newSelector(*p.NamespaceSelector)
		if err != nil {
			return peer, fmt.Errorf("namespaceSelector: %w", err)
		}
		peer.namespaces = &namespaces
	}
	return peer, nil
}

// newNetworkPort also reports whether the port is a TCP port, as it is without a protocol.
func newNetworkPort(p kube.PolicyPort) (networkPort, bool, error) {
	tcp := p.Protocol == "" || p.Protocol == "TCP"
	switch {
	case !tcp && p.Protocol != "UDP" && p.Protocol != "SCTP":
		return networkPort{}, false, fmt.Errorf("unknown protocol %q; want TCP, UDP or SCTP", p.Protocol)
	case p.Port == nil && p.EndPort != nil:
		return networkPort{}, false, fmt.Errorf("endPort without port, which the API server refuses")
	case p.Port == nil:
		return networkPort{any: true}, tcp, nil
	case p.Port.String != "" && p.EndPort != nil:
		return networkPort{}, false, fmt.Errorf("endPort with a named port, which the API server refuses")
	case p.Port.String != "":
		return networkPort{name: p.Port.String}, tcp, nil
	}
	last := p.Port.Int
	if p.EndPort != nil {
		last = *p.EndPort
	}
	if p.Port.Int < 1 || p.Port.Int > last || last > 65535 {
		return networkPort{}, false, fmt.Errorf("%d to %d is not a range of ports", p.Port.Int, last)
	}
	return networkPort{first: uint16(p.Port.Int), last: uint16(last)}, tcp, nil //nolint:gosec // at most 65535
}

// matches reports whether the rule covers the port of a connection. Names are those of the
// destination's containers; a host has none.
func (p networkPort) matches(c conn) truth {
	if p.any {
		return yes
	}
	if p.name != "" {
		return c.dst.pod.hasPort(p.name, c.port)
	}
	return truthOf(p.first <= c.port && c.port <= p.last)
}

// hasPort reports whether a Pod's port has a name. To a policy, a Pod on the host network is its
// host, whose ports have no known names.
func (p *Pod) hasPort(name string, port uint16) truth {
	if p == nil || p.HostNetwork {
		return no
	}
	if p.PortsUnknown {
		return maybe
	}
	return truthOf(slices.Contains(p.Ports, NamedPort{name, port}))
}

// matches reports whether the other end of a connection is a peer. Selectors select only Pods of the
// Pod network: a Pod on the host network has its node's address, which only an ipBlock matches
// (kubernetes/website#39875, kubernetes/kubernetes#65321).
func (p networkPeer) matches(e *evaluator, policy *networkPolicy, other end) bool {
	if p.block != nil {
		// Cilium matches a network neither with a Pod nor with a node, whatever its address is.
		if len(e.cilium) > 0 && (other.pod != nil || other.node != nil && other.node.Kubernetes) {
			return false
		}
		return p.block.contains(other.addr)
	}
	if other.pod == nil || other.pod.HostNetwork {
		return false
	}
	if p.namespaces == nil {
		return other.pod.Namespace == policy.namespace && p.pods.matches(other.pod.Labels)
	}
	return p.namespaces.matches(e.topology.namespaceLabels(other.pod.Namespace)) && p.pods.matches(other.pod.Labels)
}

func (r networkRule) matches(e *evaluator, policy *networkPolicy, c conn, other end) truth {
	if r.unread != "" {
		return maybe
	}
	port := truthOf(len(r.ports) == 0)
	for _, p := range r.ports {
		port = or(port, p.matches(c))
	}
	if port == no || len(r.peers) == 0 {
		return port
	}
	for _, p := range r.peers {
		if p.matches(e, policy, other) {
			return port
		}
	}
	return no
}

// networkPolicies judges one direction by the NetworkPolicies that select the Pod, at least one. A
// packet passes if any rule of any of them allows it.
func (e *evaluator) networkPolicies(selected []*networkPolicy, c conn, egress bool) verdict {
	unsure := verdict{}
	for _, p := range selected {
		rules, other := p.in, c.src
		if egress {
			rules, other = p.out, c.dst
		}
		for _, r := range rules {
			switch r.matches(e, p, c, other) {
			case yes:
				return allow(r.reason)
			case maybe:
				why := r.unread
				if why == "" {
					why = "names a port, and the Pod's containers are not known"
				}
				unsure = unreadRule(r.reason, why)
			case no:
			}
		}
		if p.unread != nil {
			unsure = cannotTell(p.unread, p.unread.words())
		}
	}
	if unsure.unknown != "" {
		return unsure
	}
	return deny(e.reasonFor(Decision{Kind: ByDefaultDeny, Engine: cluster.BackendNetworkPolicy, Policy: selected[0].name, More: len(selected) - 1, Egress: egress}))
}
