package reach

import (
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func ciliumEngine() engine {
	return engine{
		backend: cluster.BackendCilium, compile: compileCilium, selects: selectCilium, judge: judgeByCilium,
		distinguish: distinguishByCilium, assumptions: ciliumAssumptions, words: describeCilium,
	}
}

func compileCilium(e *evaluator, o *kube.Objects, note func(error) bool) {
	for _, p := range o.CiliumPolicies {
		if rules, err := newCiliumPolicy(p); note(err) {
			e.cilium = append(e.cilium, rules...)
		} else {
			name, namespace := ciliumName(p)
			e.cilium = append(e.cilium, unreadCiliumRule(name, namespace, "is not judged: "+err.Error()))
		}
	}
	for _, s := range skippedOf(o, "cilium.io") {
		if s.kind == "CiliumCIDRGroup" {
			continue // the rules that mean it know that they do not know it
		}
		namespace := s.namespace
		if s.kind == "CiliumNetworkPolicy" {
			namespace = orDefault(namespace)
		}
		e.cilium = append(e.cilium, unreadCiliumRule(s.title(), namespace, s.why))
	}
}

// unreadCiliumRule returns a rule of which nothing is known. It may select any Pod of its namespace or,
// without one, any Pod and node.
func unreadCiliumRule(name, namespace, why string) *ciliumRule {
	r := &ciliumRule{name: name, namespace: namespace, pods: &ciliumSelector{}, unread: unreadReason(cluster.BackendCilium, name, why)}
	if namespace == "" {
		r.nodes = &ciliumSelector{}
	}
	return r
}

func selectCilium(e *evaluator, p *Pod, to *podPolicies) {
	in, out := &to.directions[0], &to.directions[1]
	for _, r := range e.cilium {
		switch r.selects(e, p) {
		case yes:
			in.cilium, out.cilium = append(in.cilium, r), append(out.cilium, r)
		case maybe:
			in.unsure = r.unread
			if in.unsure == nil {
				in.unsure = e.reasonFor(Decision{Kind: ByUnclearPods, Engine: cluster.BackendCilium, Policy: r.name})
			}
			out.unsure = in.unsure
		case no:
		}
	}
}

// judgeByCilium judges by the host firewall, which leaves alone what a host forwards and what it
// sends itself.
func judgeByCilium(e *evaluator, at place) verdict {
	switch at.passage {
	case sends:
		return e.ciliumHost(at.node, at.conn, true)
	case receives, receivesPod:
		return e.ciliumHost(at.node, at.conn, false)
	case fromPod, forwardsOut, forwardsIn, loops:
	}
	return verdict{allowed: true}
}

func distinguishByCilium(s *signatures) {
	s.nameKeys = append(s.nameKeys, ciliumNamespace)
	for _, r := range s.e.cilium {
		s.namespaces[r.namespace] = true
		for _, c := range []*ciliumSelector{r.pods, r.nodes} {
			if c != nil {
				s.mention(c.selector)
			}
		}
		for _, p := range slices.Concat(r.in, r.out, r.neverIn, r.neverOut) {
			for _, c := range slices.Concat(p.endpoints, p.nodes) {
				s.mention(c.selector)
			}
			for _, b := range p.blocks {
				s.addBoundaries(b.in)
				s.addBoundaries(b.except...)
			}
		}
	}
}

func ciliumAssumptions(e *evaluator) []string {
	nodes, labels := false, false
	for _, r := range e.cilium {
		nodes = nodes || r.nodes != nil
		for _, p := range slices.Concat(r.in, r.out, r.neverIn, r.neverOut) {
			labels = labels || len(p.nodes) > 0
		}
	}
	var list []string
	if nodes {
		list = append(list, "Cilium's host firewall is on (hostFirewall.enabled=true); without it, policies for nodes do nothing")
	}
	if labels {
		list = append(list, "Cilium matches nodes by their labels (nodeSelectorLabels=true); without it, fromNodes matches nothing")
	}
	return list
}

func describeCilium(d Decision) string {
	switch d.Kind {
	case ByDefaultDeny:
		return d.policies() + ", no " + direction(d.Egress) + " rule, and so default deny"
	case ByUnclearPods:
		return d.Policy + " may select the Pod or not, by labels that the files do not have"
	default:
		return ""
	}
}
