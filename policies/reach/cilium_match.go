package reach

import (
	"maps"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
)

// selects reports whether a rule applies to a Pod.
func (r *ciliumRule) selects(e *evaluator, p *Pod) truth {
	if r.pods == nil || p.HostNetwork || r.namespace != "" && r.namespace != p.Namespace {
		return no
	}
	match := e.ciliumMatches(*r.pods, p)
	if r.unread != nil && match == yes {
		return maybe
	}
	return match
}

func (e *evaluator) ciliumMatches(s ciliumSelector, p *Pod) truth {
	if s.reserved {
		return maybe
	}
	return truthOf(s.matches(e.ciliumLabels(p)))
}

// ciliumLabels returns a Pod's labels as Cilium's selectors see them.
func (e *evaluator) ciliumLabels(p *Pod) map[string]string {
	if labels, ok := e.ciliumPods[p]; ok {
		return labels
	}
	labels := map[string]string{ciliumNamespace: p.Namespace}
	maps.Copy(labels, p.Labels)
	for k, v := range e.topology.namespaceLabels(p.Namespace) {
		labels[ciliumNamespaceLabels+k] = v
	}
	e.ciliumPods[p] = labels
	return labels
}

// entities returns Cilium's names for one end of a connection, seen from a node
// (docs.cilium.io/en/stable/security/policy/language/#entities-based).
func (e *evaluator) entities(x end, local *Node) []string {
	names := []string{"all"}
	switch {
	case x.pod != nil && !x.pod.HostNetwork:
		return append(names, "cluster")
	case x.node != nil && x.node.Kubernetes && x.node == local:
		names = append(names, "cluster", "host")
	case x.node != nil && x.node.Kubernetes:
		names = append(names, "cluster", "remote-node")
	case x.addr.Is4():
		names = append(names, "world", "world-ipv4")
	default:
		names = append(names, "world", "world-ipv6")
	}
	if x.node != nil && x.node.APIServer {
		names = append(names, "kube-apiserver")
	}
	return names
}

// matches reports whether a rule's entry covers a connection. other is the end that the rule does
// not select; local is the node that enforces the rule.
func (p ciliumPeers) matches(e *evaluator, r *ciliumRule, c conn, other end, local *Node) truth {
	if !p.tcp {
		return no
	}
	port := truthOf(len(p.ports) == 0)
	for _, q := range p.ports {
		in := truthOf(q.first <= c.port && c.port <= q.last)
		if q.name != "" {
			in = c.dst.pod.hasPort(q.name, c.port)
		}
		if q.proxied {
			in = and(in, maybe) // what the proxy makes of the connection is not known
		}
		port = or(port, in)
	}
	if p.unread != "" {
		return and(port, maybe) // its peers may be anybody
	}
	if port == no || p.anybody {
		return port
	}
	if p.undecided {
		return and(port, maybe)
	}
	peer := no
	names := e.entities(other, local)
	for _, entity := range p.entities {
		peer = or(peer, truthOf(slices.Contains(names, entity)))
	}
	pod := other.pod != nil && !other.pod.HostNetwork
	for _, s := range p.endpoints {
		switch {
		case s.reserved:
			peer = or(peer, maybe)
		// In a clusterwide policy an empty selector means Pods of any namespace, and no hosts
		// (cilium/cilium pkg/k8s/apis/cilium.io/utils/utils.go).
		case !pod || r.namespace != "" && !s.namesNamespace() && other.pod.Namespace != r.namespace:
		default:
			peer = or(peer, truthOf(s.matches(e.ciliumLabels(other.pod))))
		}
	}
	for _, s := range p.nodes {
		if !pod && other.node != nil && other.node.Kubernetes {
			peer = or(peer, truthOf(s.matches(other.node.Labels)))
		}
	}
	// A CIDR never means a node or a Pod of the cluster, whatever their addresses are
	// (docs.cilium.io/en/stable/security/policy/language/#ip-cidr-based; policyCIDRMatchMode).
	if slices.Contains(names, "world") {
		for _, b := range p.blocks {
			peer = or(peer, truthOf(b.contains(other.addr)))
		}
	}
	return and(port, peer)
}

// ciliumVerdict judges one direction by the rules that select the Pod or the node. others judges by
// Kubernetes' NetworkPolicies: Cilium lets through what either of them allows.
func (e *evaluator) ciliumVerdict(selected []*ciliumRule, c conn, egress bool, local *Node, others func() verdict) (v verdict, decided bool) {
	closed := ""
	for _, r := range selected {
		if closes := egress && r.denyOut || !egress && r.denyIn; closes && closed == "" {
			closed = r.name
		}
	}
	v, match := e.ciliumMatch(selected, c, egress, true, local)
	if match != no {
		return v, true
	}
	v, match = e.ciliumMatch(selected, c, egress, false, local)
	if match == yes {
		return v, true
	}
	if others != nil {
		if o := others(); o.allowed || o.unknown != "" || closed == "" {
			return o, true
		}
	}
	switch {
	case closed == "":
		return verdict{allowed: true}, false
	case match == maybe:
		return v, true
	}
	return deny(e.reasonFor(Decision{Kind: ByDefaultDeny, Engine: cluster.BackendCilium, Policy: closed, Egress: egress})), true
}

// ciliumMatch returns the verdict of the first rule that denies or, without denies, allows the
// connection. If only an unclear rule matches, it returns that one.
func (e *evaluator) ciliumMatch(selected []*ciliumRule, c conn, egress, denies bool, local *Node) (v verdict, match truth) {
	for _, r := range selected {
		entries, other := r.in, c.src
		switch {
		case egress && denies:
			entries, other = r.neverOut, c.dst
		case egress:
			entries, other = r.out, c.dst
		case denies:
			entries = r.neverIn
		}
		for _, p := range entries {
			switch p.matches(e, r, c, other, local) {
			case yes:
				return verdict{allowed: !denies, by: p.reason, ruled: true}, yes
			case maybe:
				why := p.unread
				if why == "" {
					why = "has a name or a proxy that the files do not answer"
				}
				v, match = unreadRule(p.reason, why), maybe
			case no:
			}
		}
	}
	return v, match
}

// ciliumHost judges what a node itself sends or receives. Without the host firewall, or on a host
// outside Kubernetes, Cilium filters nothing.
func (e *evaluator) ciliumHost(n *Node, c conn, egress bool) verdict {
	if n == nil || !n.Kubernetes {
		return verdict{allowed: true}
	}
	selected, ok := e.ciliumNodes[n]
	if !ok {
		for _, r := range e.cilium {
			if r.nodes != nil && r.nodes.matches(n.Labels) {
				selected = append(selected, r)
			}
		}
		e.ciliumNodes[n] = selected
	}
	if len(selected) == 0 {
		return verdict{allowed: true}
	}
	for _, r := range selected {
		if r.unread != nil {
			return cannotTell(r.unread, r.unread.words())
		}
	}
	v, decided := e.ciliumVerdict(selected, c, egress, n, nil)
	if !decided {
		return pass(e.reasonFor(Decision{Kind: ByNoDeny, Engine: cluster.BackendCilium, Policy: selected[0].name, More: len(selected) - 1, Egress: egress}))
	}
	return v
}
