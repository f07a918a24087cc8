package reach

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// Prove follows a packet from every source to every port of every member, and compares the result
// with the intent. place has the path of the spec, for the lines that fix a violation. Equal input
// gives an equal proof.
func Prove(i *policies.Intent, t Topology, filters policies.Filters, place audit.Place) Proof {
	e, err := newEvaluator(i, t, filters)
	p := Proof{Flows: []Flow{}, Violations: []Violation{}, Unknown: []string{}, Assumed: []string{}}
	if err != nil {
		p.Unknown = append(p.Unknown, strings.Split(err.Error(), "\n")...)
	}
	for _, s := range filters.Objects.Skipped {
		if s.Effect == kube.MayDecide {
			p.Unknown = append(p.Unknown, fmt.Sprintf("%s: %s %s is not judged: %s", s.File, s.Kind, s.Name, s.Why))
		}
	}
	e.makeTargets()
	p.Unknown = append(p.Unknown, e.missingTargets()...)
	p.Flows = e.flows()
	for _, f := range p.Flows {
		if f.Unknown != "" && !slices.Contains(p.Unknown, f.Unknown) {
			p.Unknown = append(p.Unknown, f.Unknown)
		}
	}
	p.Violations = append(p.Violations, e.violations(p.Flows, place)...)
	p.Assumed = append(p.Assumed, e.assumptions()...)
	p.Holds = len(p.Violations) == 0 && len(p.Unknown) == 0 && len(p.Flows) > 0
	return p
}

// flows returns the flows by source, then member, then port. Senders of a dump with the same outcome
// everywhere are joined.
func (e *evaluator) flows() []Flow {
	var flows []Flow
	type joined struct{ at, to int }
	same := map[string]joined{}
	for _, s := range e.sources() {
		own := e.flowsFrom(s)
		if !s.dumped {
			flows = append(flows, own...)
			continue
		}
		key := e.outcomeKey(s, own)
		if first, ok := same[key]; ok {
			for n := first.at; n < first.to; n++ {
				flows[n].FromCount += s.count
			}
			continue
		}
		same[key] = joined{len(flows), len(flows) + len(own)}
		flows = append(flows, own...)
	}
	for n := range flows {
		if flows[n].FromCount > 1 {
			flows[n].From = fmt.Sprintf("%d %s such as %s", flows[n].FromCount, plural(flows[n].FromClass), flows[n].From)
		}
	}
	return flows
}

func plural(c Class) string {
	if c == ClassNode {
		return "nodes"
	}
	return "Pods"
}

// outcomeKey returns the same key for two sources that look equal in every report.
func (e *evaluator) outcomeKey(s *source, flows []Flow) string {
	var b strings.Builder
	b.WriteString(string(s.class))
	for _, f := range flows {
		// Equal decisions have one number, and unequal ones may read alike.
		number := e.reasonFor(f.Decision.withoutSender(s)).number
		fmt.Fprintf(&b, "\x00%s %s %d %t %t %s %d", f.To, f.ToAddr, f.Port, f.Allowed, f.Wanted, f.Unknown, number)
	}
	return b.String()
}

func (e *evaluator) flowsFrom(s *source) []Flow {
	addrs := 0
	for _, m := range e.targets {
		addrs += len(m.addrs)
	}
	ports := e.intent.Ports.All()
	flows := make([]Flow, 0, addrs*len(ports)) // all of them, of a source with one address of each family
	for _, m := range e.targets {
		if s.pod != nil && s.pod == m.pod {
			continue // a Pod and itself
		}
		meet := false
		for _, to := range m.addrs {
			for _, from := range sameFamily(s.addrs, to) {
				seen := e.visibleAddress(s, from, m)
				meet = true
				for _, port := range ports {
					flows = append(flows, e.flow(s, from, seen, m, to, port))
				}
			}
		}
		if !meet {
			flows = append(flows, e.flowsApart(s, m)...)
		}
	}
	return flows
}

// flowsApart returns the flows of a source to a member with which it shares no address family. Nothing
// gets there, whatever the policies are.
func (e *evaluator) flowsApart(s *source, m target) []Flow {
	var from, to netip.Addr
	if len(s.addrs) > 0 {
		from = s.addrs[0]
	}
	if len(m.addrs) > 0 {
		to = m.addrs[0]
	}
	v := deny(e.reasonFor(Decision{Kind: ByNoFamily, Rule: familyOf(from) + " to " + familyOf(to)}))
	if !from.IsValid() && s.pod == nil || !to.IsValid() {
		by := e.reasonFor(Decision{Kind: ByUnknownAddress, Node: s.name})
		if !to.IsValid() {
			by = e.reasonFor(Decision{Kind: ByUnknownAddress, Node: m.name})
		}
		v = cannotTell(by, by.words())
	}
	var flows []Flow
	for _, port := range e.intent.Ports.All() {
		wanted := e.isWanted(s, from, port) && !e.isStoodInFor(s, m)
		flows = append(flows, e.flowOf(v, s, from, from, m, to, port, wanted))
	}
	return flows
}

func familyOf(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Is4():
		return "IPv4"
	}
	return "IPv6"
}

// isStoodInFor reports whether a source is one network of several of its role, and another of these
// shares an address family with the member. The spec of a dual-stack scraper names both its networks.
func (e *evaluator) isStoodInFor(s *source, m target) bool {
	networks := map[Class][]netip.Prefix{ClassScraper: e.intent.Scrapers, ClassBackup: e.intent.Backups}[s.class]
	return len(s.roles) == 0 && slices.ContainsFunc(networks, func(p netip.Prefix) bool { return len(sameFamily(m.addrs, p.Addr())) > 0 })
}

func (e *evaluator) flow(s *source, from, seen netip.Addr, m target, to netip.Addr, port uint16) Flow {
	v := e.follow(s, from, seen, m, to, port)
	wanted := e.isWanted(s, from, port)
	if !wanted && !v.allowed && v.unknown == "" && m.pod == nil {
		if by, ok := e.detour(s, from, m, to, port); ok {
			v = by
		}
	}
	return e.flowOf(v, s, from, seen, m, to, port, wanted)
}

// flowOf returns the flow that has a verdict.
func (e *evaluator) flowOf(v verdict, s *source, from, seen netip.Addr, m target, to netip.Addr, port uint16, wanted bool) Flow {
	allowed := v.allowed && v.unknown == ""
	if v.by == nil {
		v.by = e.reasonFor(Decision{Kind: ByNothing})
	}
	if v.elsewhere != "" && wanted && allowed {
		v.unknown, allowed = v.elsewhere+", and nothing tells whether a member listens there", false
	}
	if v.seen.IsValid() {
		seen = v.seen
	}
	return Flow{
		From: s.name, FromClass: s.class, FromCount: s.count, FromAddr: from, SeenAs: seen,
		To: m.name, ToAddr: to, Port: port,
		Allowed: allowed, Wanted: wanted, Unavoidable: allowed && !wanted && v.unavoidable,
		Decision: &v.by.Decision, DecidedBy: v.by.words(), Unknown: v.unknown,
	}
}

// assumptions lists what the result depends on and the files do not show.
func (e *evaluator) assumptions() []string {
	var list []string
	// From the last engine that a packet meets to the first.
	for _, engine := range slices.Backward(e.engines) {
		if engine.assumptions != nil {
			list = append(list, engine.assumptions(e)...)
		}
	}
	if e.intent.Runtime != cluster.Hosted && len(e.topology.Pods) == 0 {
		list = append(list, fmt.Sprintf("Pods are %s, as spec.isolation.podAddresses says, and their labels are not known: give a dump (kubectl get nodes,namespaces,pods -A -o json)", e.intent.PodAddresses))
	}
	for _, m := range e.targets {
		if m.pod == nil && !m.node.Kubernetes {
			list = append(list, fmt.Sprintf("the host of %s is no node of Kubernetes as far as is known, so that neither Cilium nor the policies of Pods are there", m.name))
		}
	}
	return list
}
