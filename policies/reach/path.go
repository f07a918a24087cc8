package reach

import (
	"net/netip"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// end is one end of a connection as a filter sees it: a Pod with its own address, or a host with one
// of its addresses. A masqueraded Pod looks like its host.
type end struct {
	node *Node // nil for what is outside of everything that is known
	pod  *Pod  // nil for a host
	addr netip.Addr
}

// conn is the first packet of a TCP connection.
type conn struct {
	src, dst end
	port     uint16
}

// target is a member, or a Pod of one.
type target struct {
	name  string
	node  *Node
	pod   *Pod // of hosted members
	addrs []netip.Addr
}

// visibleAddress returns the source address that a member's host sees, or false if the source has
// none of the same family.
func (e *evaluator) visibleAddress(s *source, from netip.Addr, m target) (netip.Addr, bool) {
	if s.pod == nil || m.pod != nil || s.node == m.node || e.intent.PodAddresses == cluster.Routed {
		return from, true
	}
	own := sameFamily(s.node.Addrs, from)
	if len(own) == 0 {
		return netip.Addr{}, false
	}
	return own[0], true
}

// follow sends a packet from a source to a member through every filter in its way.
func (e *evaluator) follow(s *source, from, seen netip.Addr, m target, to netip.Addr, port uint16) verdict {
	own := conn{src: end{s.node, s.pod, from}, dst: end{m.node, m.pod, to}, port: port}
	if m.pod != nil {
		return e.followToPod(s, own, m)
	}
	arrives := own
	if seen != from {
		arrives.src = end{s.node, nil, seen}
	}
	if s.pod == nil && s.node == m.node {
		// What a host sends itself meets neither Calico's host endpoints nor Cilium's host firewall.
		v := combine([]verdict{
			e.nftVerdict(m.node, nft.Input, from, to, port, true),
			e.unitVerdict(m.name, from),
			allow(e.because(Decision{Kind: ByOwnHost})),
		})
		v.unavoidable = true
		return v
	}
	filters := make([]verdict, 0, 8)
	if s.pod != nil {
		filters = append(filters, e.podVerdict(s.pod, own, true), e.calicoFromPod(s.node, own))
		if s.node != m.node {
			filters = append(filters,
				e.nftVerdict(s.node, nft.Forward, from, to, port, false),
				e.calicoHostVerdict(s.node, own, true, true))
		}
	} else if s.node != nil {
		filters = append(filters, e.calicoHostVerdict(s.node, own, true, false), e.ciliumHost(s.node, own, true))
		if s.member != "" {
			filters = append(filters, e.unitVerdict(s.member, to))
		}
	}
	filters = append(filters, e.nftVerdict(m.node, nft.Input, seen, to, port, false))
	if s.pod != nil && s.node == m.node {
		filters = append(filters, e.workloadToHost(m.node, to))
	} else {
		filters = append(filters, e.calicoHostVerdict(m.node, arrives, false, false))
	}
	filters = append(filters, e.ciliumHost(m.node, arrives, false), e.unitVerdict(m.name, seen))
	return combine(filters)
}

// workloadToHost judges what a Pod sends to its own host, as Calico does: by the Pod's egress
// policies, by policies before DNAT and by defaultEndpointToHostAction. No other policy of the host
// endpoint applies. That setting is Accept in Calico's manifests and operator (projectcalico/calico
// felix/rules/static.go, filterInputChain).
func (e *evaluator) workloadToHost(n *Node, to netip.Addr) verdict {
	if h, _ := e.findCalicoHost(n, to); h == nil {
		return verdict{allowed: true}
	}
	return pass(e.because(Decision{Kind: ByHostAction, Engine: cluster.BackendCalico, Node: n.Name}))
}

// followToPod sends a packet to a member on the Pod network, which Pods reach with their own
// addresses.
func (e *evaluator) followToPod(s *source, c conn, m target) verdict {
	if s.pod == nil && s.node != nil && s.node == m.node {
		v := allow(e.because(Decision{Kind: ByOwnNode, Node: s.node.Name}))
		v.unavoidable = true // kubernetes.io/docs/concepts/services-networking/network-policies
		return v
	}
	filters := make([]verdict, 0, 8)
	if s.pod != nil {
		filters = append(filters, e.podVerdict(s.pod, c, true), e.calicoFromPod(s.node, c))
		if s.node != m.node {
			filters = append(filters,
				e.nftVerdict(s.node, nft.Forward, c.src.addr, c.dst.addr, c.port, false),
				e.calicoHostVerdict(s.node, c, true, true))
		}
	} else if s.node != nil {
		filters = append(filters, e.calicoHostVerdict(s.node, c, true, false), e.ciliumHost(s.node, c, true))
	}
	if s.node == nil || s.node != m.node {
		filters = append(filters,
			e.nftVerdict(m.node, nft.Forward, c.src.addr, c.dst.addr, c.port, false),
			e.calicoHostVerdict(m.node, c, false, true))
	}
	filters = append(filters, e.podVerdict(m.pod, c, false))
	return combine(filters)
}
