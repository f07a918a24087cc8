package reach

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

func nftablesEngine() engine {
	return engine{backend: cluster.BackendNftables, judge: judgeByRuleset, distinguish: distinguishByRulesets, words: describeNftables}
}

// judgeByRuleset judges what a host receives or forwards, by the hook that filters it.
func judgeByRuleset(e *evaluator, at place) verdict {
	switch at.passage {
	case receives, receivesPod:
		return e.nftVerdict(at.node, nft.Input, at.conn, false)
	case loops:
		return e.nftVerdict(at.node, nft.Input, at.conn, true)
	case forwardsOut, forwardsIn:
		return e.nftVerdict(at.node, nft.Forward, at.conn, false)
	case fromPod, sends:
	}
	return verdict{allowed: true}
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

// nftVerdict judges one hook of one node.
func (e *evaluator) nftVerdict(n *Node, hook nft.Hook, c conn, loopback bool) verdict {
	name := ""
	if n != nil {
		name = n.Name
	}
	rules, known := e.rulesOf(name)
	if !known {
		return cannotTell(e.reasonFor(Decision{Kind: ByUnknownRules, Engine: cluster.BackendNftables, Node: name}), "the ruleset of "+name+" was not given")
	}
	if rules == nil {
		return verdict{allowed: true}
	}
	d := rules.Decide(nft.Packet{Hook: hook, Src: c.src.addr, Dst: c.dst.addr, Port: c.port, InLoopback: loopback})
	by := e.nftReason(name, hook, d)
	switch {
	case d.Err != nil:
		return cannotTell(by, fmt.Sprintf("%s: %v", by.words(), d.Err))
	case !d.Accept:
		return deny(by)
	case by.Rule != "":
		return allow(by)
	}
	return pass(by)
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
