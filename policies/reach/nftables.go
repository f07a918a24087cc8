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
	decision := Decision{Kind: ByRule, Engine: cluster.BackendNftables, Hook: hook.String(), Node: name, Rule: d.Rule}
	if d.Err == nil && d.Accept && d.Rule == "" {
		decision.Kind = ByNoDeny
	}
	by := e.because(decision)
	switch {
	case d.Err != nil:
		return cannotTell(by, fmt.Sprintf("%s: %v", by.words(), d.Err))
	case !d.Accept:
		return deny(by)
	case d.Rule != "":
		return allow(by)
	}
	return pass(by)
}
