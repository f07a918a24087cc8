package reach

import (
	"fmt"
	"net/netip"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/nft"
)

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
func (e *evaluator) nftVerdict(n *Node, hook nft.Hook, src, dst netip.Addr, port uint16, loopback bool) verdict {
	name := ""
	if n != nil {
		name = n.Name
	}
	rules, known := e.rulesOf(name)
	if !known {
		return cannotTell(e.because(Decision{Kind: ByUnknownRules, Engine: cluster.BackendNftables, Node: name}), "the ruleset of "+name+" was not given")
	}
	if rules == nil {
		return verdict{allowed: true}
	}
	d := rules.Decide(nft.Packet{Hook: hook, Src: src, Dst: dst, Port: port, InLoopback: loopback})
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
		by = e.because(Decision{Kind: key.kind, Engine: cluster.BackendNftables, Hook: hook.String(), Node: node, Rule: d.Rule()})
		e.nftReasons[key] = by
	}
	return by
}
