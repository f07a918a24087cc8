package reach

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

func nftablesEngine() engine {
	return engine{
		backend: cluster.BackendNftables, judge: judgeByRuleset, distinguish: distinguishByRulesets, words: describeNftables,
		assumptions: assumptionsOfRulesets,
	}
}

// judgeByRuleset judges by every hook of a host that the packets of a connection pass, and by what the
// host translates.
func judgeByRuleset(e *evaluator, at place) verdict {
	way := wayOf(at.passage)
	if way == 0 {
		return verdict{allowed: true}
	}
	name := ""
	if at.node != nil {
		name = at.node.Name
	}
	rules, known := e.rulesOf(name)
	switch {
	case !known && way == nft.Sends:
		e.sendsUnseen = addNew(e.sendsUnseen, name) // an assumption
		return verdict{allowed: true}
	case !known:
		return cannotTell(e.reasonFor(Decision{Kind: ByUnknownRules, Engine: cluster.BackendNftables, Node: name}), "the ruleset of "+name+" was not given")
	case rules == nil:
		return verdict{allowed: true}
	}
	fates := e.tracerOf(rules).Follow(nft.Connection{
		Way: way, Src: at.conn.src.addr, Dst: at.conn.dst.addr, Port: at.conn.port,
		IsLocal: func(a netip.Addr) bool { return at.node != nil && slices.Contains(at.node.Addrs, a) },
	})
	v := e.fateVerdict(at, &fates[0])
	if at.passage == forwardsBetween {
		return e.unlessBridged(v)
	}
	for n := range fates[1:] {
		v = e.eitherOf(at, v, e.fateVerdict(at, &fates[n+1]), &fates[n+1])
	}
	return v
}

// detour returns an undecided verdict if a source that cannot reach a port of a member may reach it by
// another address or port, which a host of the members or another node translates.
func (e *evaluator) detour(s *source, from netip.Addr, m target, to netip.Addr, port uint16) (verdict, bool) {
	for _, n := range e.translatingNodes() {
		if n == s.node {
			continue
		}
		c := nft.Connection{Way: nft.Forwards, Src: from, Dst: to, Port: port}
		if n == m.node {
			c.Way = nft.Receives
		}
		rules, _ := e.rulesOf(n.Name)
		tracer := e.tracerOf(rules)
		by, ok := tracer.LeadsTo(c)
		if !ok {
			continue
		}
		for _, f := range tracer.FollowTranslated(c) {
			if !f.Accept && f.Err == nil {
				continue // it is dropped afterwards
			}
			if n != m.node {
				src := f.Src
				if f.Masqueraded {
					if own := sameFamily(n.Addrs, from); len(own) > 0 {
						src = own[0]
					}
				}
				arrives := conn{end{n, nil, src}, end{m.node, nil, to}, port}
				if v := combine(e.filtersAt(nil, place{receives, m.node, m.name, arrives})); !v.allowed && v.unknown == "" {
					continue
				}
			}
			r := e.reasonFor(Decision{Kind: ByRule, Engine: cluster.BackendNftables, Hook: nft.Prerouting.String(), Node: n.Name, Rule: by.String()})
			return cannotTell(r, r.words()+fmt.Sprintf(": unknown: it may lead to port %d of %s from another address or port", port, m.name)), true
		}
	}
	return verdict{}, false
}

// translatingNodes returns the nodes whose rules may give packets another destination, found once: a
// cluster has thousands of flows, hundreds of nodes, and few of these or none.
func (e *evaluator) translatingNodes() []*Node {
	if e.translating == nil {
		e.translating = []*Node{}
		for _, n := range e.topology.Nodes {
			if rules, _ := e.rulesOf(n.Name); rules != nil && e.tracerOf(rules).Leads() {
				e.translating = append(e.translating, n)
			}
		}
	}
	return e.translating
}

func wayOf(p passage) nft.Way {
	switch p {
	case receives, receivesPod:
		return nft.Receives
	case loops:
		return nft.Loops
	case forwardsOut, forwardsIn, forwardsBetween:
		return nft.Forwards
	case sends:
		return nft.Sends
	case fromPod:
	}
	return 0
}

// tracerOf returns the tracer of a ruleset, made once.
func (e *evaluator) tracerOf(rules *nft.Ruleset) *nft.Tracer {
	if e.tracers[rules] == nil {
		e.tracers[rules] = rules.Tracer()
	}
	return e.tracers[rules]
}

// fateVerdict returns the verdict of one fate of a connection.
func (e *evaluator) fateVerdict(at place, f *nft.Fate) verdict {
	name := ""
	if at.node != nil {
		name = at.node.Name
	}
	by := e.nftReason(name, f.Hook, f.Decision)
	switch {
	case f.Err != nil:
		return cannotTell(by, fmt.Sprintf("nftables %s on %s: %v", f.Hook, name, f.Err))
	case !f.Accept:
		return deny(by)
	case f.IsTranslated():
		by := e.reasonFor(Decision{
			Kind: ByTranslation, Engine: cluster.BackendNftables, Hook: hookOfTranslation(at.passage).String(), Node: name,
			Rule: f.Translated.String(), To: netip.AddrPortFrom(f.Dst, f.Port).String(),
		})
		v := allow(by)
		v.elsewhere = by.words()
		if at.passage == sends || at.passage == forwardsOut {
			// It does not come to the member at all, or to another port of it.
			return cannotTell(by, v.elsewhere)
		}
		return v
	}
	v := allow(by)
	if at.passage == sends {
		v = verdict{allowed: true} // what receives it says why it is let in
	}
	if at.passage == sends || at.passage == forwardsOut {
		v.seen = seenAfter(at, f)
	}
	return v
}

func hookOfTranslation(p passage) nft.Hook {
	if p == sends || p == loops {
		return nft.Output
	}
	return nft.Prerouting
}

// seenAfter returns the source that other hosts see, or no address if the rules do not change it.
func seenAfter(at place, f *nft.Fate) netip.Addr {
	own := at.conn.src.addr
	switch {
	case f.Masqueraded && !slices.Contains(at.node.Addrs, own):
		if addrs := sameFamily(at.node.Addrs, own); len(addrs) > 0 {
			return addrs[0]
		}
	case !f.Masqueraded && f.Src != own:
		return f.Src
	}
	return netip.Addr{}
}

// eitherOf joins the verdicts of two fates, of which nothing tells which one comes.
func (e *evaluator) eitherOf(at place, a, b verdict, second *nft.Fate) verdict {
	same := a.allowed == b.allowed && a.elsewhere == b.elsewhere
	switch {
	case a.unknown != "":
		return a
	case b.unknown != "":
		return b
	case same && a.seen == b.seen:
		return a
	case same && a.allowed && e.isMasquerade(a, b):
		a.seen = netip.Addr{} // the spec says whether Pods are masqueraded
		return a
	}
	name := ""
	if at.node != nil {
		name = at.node.Name
	}
	by := e.reasonFor(Decision{
		Kind: ByRule, Engine: cluster.BackendNftables, Hook: hookOfTranslation(at.passage).String(), Node: name, Rule: second.Unsure.String(),
	})
	return cannotTell(by, by.words()+": unknown: it may give the connection another address or port")
}

// isMasquerade reports whether two verdicts differ only by the address of a node that a Pod may get.
func (e *evaluator) isMasquerade(a, b verdict) bool {
	for _, v := range []verdict{a, b} {
		if v.seen.IsValid() && e.topology.nodeOf([]netip.Addr{v.seen}) == nil && !e.isWorkers(v.seen) {
			return false
		}
	}
	return true
}

func (e *evaluator) isWorkers(a netip.Addr) bool {
	return e.aWorker != nil && slices.Contains(e.aWorker.Addrs, a)
}

// unlessBridged returns the verdict of the forward hook for two Pods of one node. Whether their packets
// pass it depends on the network of the Pods.
func (e *evaluator) unlessBridged(v verdict) verdict {
	if v.allowed && v.elsewhere == "" && v.unknown == "" {
		return verdict{allowed: true}
	}
	return cannotTell(v.by, v.by.words()+", if the network of the Pods hands the packets of two Pods of a node to it")
}

// assumptionsOfRulesets names what the rulesets do not show.
func assumptionsOfRulesets(e *evaluator) []string {
	var list []string
	if len(e.sendsUnseen) > 0 {
		list = append(list, fmt.Sprintf("the rulesets of %s were not given: nothing there stops what they send to the members", firstNames(e.sendsUnseen)))
	}
	checks := e.filters.Rules != nil && e.filters.Rules.ChecksReversePath()
	for _, r := range e.filters.NodeRules {
		checks = checks || r.Rules.ChecksReversePath()
	}
	if checks {
		list = append(list, "answers leave a host by the interface at which requests come in, as its rules demand (fib saddr oif)")
	}
	return list
}

// addressWords matches what looks like an address or network in the text of a ruleset.
var addressWords = regexp.MustCompile(`[0-9a-fA-F:.]*[.:][0-9a-fA-F:.]*(/[0-9]+)?`)

// distinguishByRulesets adds every address in the rulesets.
func distinguishByRulesets(s *signatures) {
	take := func(text []byte) {
		for _, word := range addressWords.FindAllString(string(text), -1) {
			if p, err := policies.ParseNetwork(strings.Trim(word, ".")); err == nil {
				s.addBoundaries(p)
			}
		}
	}
	if s.e.filters.Rules != nil {
		take(s.e.filters.Rules.Text())
	}
	for _, r := range s.e.filters.NodeRules {
		take(r.Rules.Text())
		s.nodes[r.Node] = true
	}
}

func describeNftables(d Decision) string {
	at := "nftables " + d.Hook + " on " + d.Node
	switch {
	case d.Kind == ByTranslation:
		return at + ": " + d.Rule + " sends it to " + d.To
	case d.Kind == ByNoDeny:
		return at + ": no rule drops it"
	case d.Kind == ByRule && d.Rule == "":
		return at
	case d.Kind == ByRule:
		return at + ": " + d.Rule
	case d.Kind == ByUnknownRules:
		return "nftables of " + d.Node
	}
	return ""
}

// rulesOf returns what a node has loaded. known is false if rulesets of other nodes were given and
// not this one's.
func (e *evaluator) rulesOf(node string) (rules *nft.Ruleset, known bool) {
	for _, r := range e.filters.NodeRules {
		if r.Node == node {
			return r.Rules, true
		}
	}
	return e.filters.Rules, e.filters.Rules != nil || len(e.filters.NodeRules) == 0
}

// nftReasonKey identifies a reason of [evaluator.nftReason] without its text.
type nftReasonKey struct {
	node string
	hook nft.Hook
	kind Kind
	by   nft.Source
}

// nftReason returns the reason of a decision of one hook of a node. The text of the rule, which can
// be long, is made once and not for each packet.
func (e *evaluator) nftReason(node string, hook nft.Hook, d nft.Decision) *reason {
	key := nftReasonKey{node, hook, ByRule, d.By}
	if d.Err == nil && d.Accept && d.By == (nft.Source{}) {
		key.kind = ByNoDeny
	}
	by := e.nftReasons[key]
	if by == nil {
		by = e.reasonFor(Decision{Kind: key.kind, Engine: cluster.BackendNftables, Hook: hook.String(), Node: node, Rule: d.Rule()})
		e.nftReasons[key] = by
	}
	return by
}
