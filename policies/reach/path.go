package reach

import (
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
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

// visibleAddress returns the source address that a member's host sees. It is not valid if the files do
// not tell the address of a masqueraded Pod's node.
func (e *evaluator) visibleAddress(s *source, from netip.Addr, m target) netip.Addr {
	if s.pod == nil || m.pod != nil || s.node == m.node || e.intent.PodAddresses == cluster.Routed {
		return from
	}
	if own := sameFamily(s.node.Addrs, from); len(own) > 0 {
		return own[0]
	}
	return netip.Addr{}
}

// follow sends a packet from a source to a member through every filter in its way. The verdict has the
// source address that the member's host sees, if it is not the one that the spec lets expect.
func (e *evaluator) follow(s *source, from, seen netip.Addr, m target, to netip.Addr, port uint16) verdict {
	own := conn{src: end{s.node, s.pod, from}, dst: end{m.node, m.pod, to}, port: port}
	if m.pod != nil {
		return e.followToPod(s, own, m)
	}
	if s.pod == nil && s.node == m.node {
		filters := e.filtersAt(make([]verdict, 0, maxFilters), place{loops, m.node, m.name, own})
		v := combine(append(filters, allow(e.reasonFor(Decision{Kind: ByOwnHost}))))
		v.unavoidable = true
		return v
	}
	filters := e.filtersOut(make([]verdict, 0, maxFilters), s, own, m)
	changed := sourceAfter(filters)
	if changed.IsValid() {
		seen = changed
	}
	if !seen.IsValid() {
		by := e.reasonFor(Decision{Kind: ByUnknownAddress, Node: s.node.Name})
		return combine(append(filters, cannotTell(by, by.words())))
	}
	arrives := own
	if seen != from {
		arrives.src = end{s.node, nil, seen}
	}
	at := place{receives, m.node, m.name, arrives}
	if s.pod != nil && s.node == m.node {
		at.passage = receivesPod
	}
	v := combine(e.filtersAt(filters, at))
	v.seen = changed
	return v
}

// sourceAfter returns the source address after some filters, or no address if none changes it.
func sourceAfter(filters []verdict) netip.Addr {
	for _, v := range slices.Backward(filters) {
		if v.seen.IsValid() {
			return v.seen
		}
	}
	return netip.Addr{}
}

// followToPod sends a packet to a member on the Pod network, which Pods reach with their own
// addresses.
func (e *evaluator) followToPod(s *source, c conn, m target) verdict {
	if s.pod == nil && s.node != nil && s.node == m.node {
		v := allow(e.reasonFor(Decision{Kind: ByOwnNode, Node: s.node.Name}))
		v.unavoidable = true // kubernetes.io/docs/concepts/services-networking/network-policies
		return v
	}
	filters := e.filtersOut(make([]verdict, 0, maxFilters), s, c, m)
	switch {
	case s.node == nil || s.node != m.node:
		filters = e.filtersAt(filters, place{forwardsIn, m.node, "", c})
	case s.pod != nil:
		filters = e.filtersAt(filters, place{forwardsBetween, m.node, "", c})
	}
	return combine(append(filters, e.podVerdict(m.pod, c, false)))
}

// maxFilters is the largest number of verdicts that a packet may get on its way.
const maxFilters = 8

// filtersOut appends the verdicts of the filters at the sender.
func (e *evaluator) filtersOut(filters []verdict, s *source, c conn, m target) []verdict {
	switch {
	case s.pod != nil:
		filters = append(filters, e.podVerdict(s.pod, c, true))
		filters = e.filtersAt(filters, place{fromPod, s.node, "", c})
		if s.node != m.node {
			filters = e.filtersAt(filters, place{forwardsOut, s.node, "", c})
		}
	case s.node != nil:
		filters = e.filtersAt(filters, place{sends, s.node, s.member, c})
	}
	return filters
}

// filtersAt appends the verdicts of those engines that have one at a place, in their order.
func (e *evaluator) filtersAt(filters []verdict, at place) []verdict {
	for n := range e.engines {
		if e.engines[n].judge == nil {
			continue
		}
		if v := e.engines[n].judge(e, at); v.by != nil || !v.allowed || v.seen.IsValid() {
			filters = append(filters, v)
		}
	}
	return filters
}
