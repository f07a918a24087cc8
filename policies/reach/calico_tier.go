package reach

import (
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// calicoTiers judges one direction by the policies that apply, in their order. step, if given,
// judges by Kubernetes' NetworkPolicies, which have a place in that order. The result is false if
// every tier passes the packet on, or no tier has a policy for it.
func (e *evaluator) calicoTiers(applied []*calicoPolicy, c conn, egress bool, step func() verdict) (verdict, bool) {
	for _, p := range applied {
		if p.unordered {
			return cannotTell(p.unread, p.unread.words()), true
		}
	}
	tiers := tiersOf(applied)
	if others := slices.DeleteFunc(slices.Clone(tiers), func(t string) bool { return t == defaultTier }); len(others) > 1 {
		return cannotTell(e.reasonFor(Decision{Kind: ByUnclear, Engine: cluster.BackendCalico, Policy: applied[0].name}), "tiers "+strings.Join(tiers, " and ")+" apply, and their order is not known"), true
	}
	if step != nil && !slices.Contains(tiers, defaultTier) {
		tiers = append(tiers, defaultTier)
	}
	for _, tier := range tiers {
		v, decided := e.calicoTier(tier, applied, c, egress, step)
		if decided {
			return v, true
		}
	}
	return verdict{}, false
}

// tiersOf lists the tiers of some policies, the default one last.
func tiersOf(applied []*calicoPolicy) []string {
	var tiers []string
	last := false
	for _, p := range applied {
		switch {
		case p.tier == defaultTier:
			last = true
		case !slices.Contains(tiers, p.tier):
			tiers = append(tiers, p.tier)
		}
	}
	if last {
		tiers = append(tiers, defaultTier)
	}
	return tiers
}

func (e *evaluator) calicoTier(tier string, applied []*calicoPolicy, c conn, egress bool, step func() verdict) (verdict, bool) {
	var first Decision // names the policy that is asked first
	for _, p := range applied {
		if p.tier != tier {
			continue
		}
		if step != nil && tier == defaultTier && p.order > networkPolicyOrder {
			v := step()
			if v.allowed || v.unknown != "" {
				return v, true
			}
			first, step = Decision{Policy: v.by.Policy, More: v.by.More, afterNetworkPolicies: true}, nil
		}
		if first.Policy == "" {
			first.Policy = p.name
		}
		v, action := e.calicoPolicy(p, c, egress)
		switch action {
		case "Allow", "Deny", "unknown":
			return v, true
		case "Pass":
			return verdict{}, false
		}
	}
	if step != nil && tier == defaultTier {
		v := step()
		return v, true
	}
	if tier != defaultTier {
		first.Kind, first.Engine = ByUnclear, cluster.BackendCalico
		return cannotTell(e.reasonFor(first), "no rule of tier "+tier+" matches, and what it does then is not known"), true
	}
	first.Kind, first.Engine, first.Egress, first.Tier = ByDefaultDeny, cluster.BackendCalico, egress, tier
	return deny(e.reasonFor(first)), true
}

// calicoPolicy judges by the rules of one policy; the action is empty if none matches.
func (e *evaluator) calicoPolicy(p *calicoPolicy, c conn, egress bool) (verdict, string) {
	if p.unread != nil {
		return cannotTell(p.unread, p.unread.words()), "unknown"
	}
	rules := p.in
	if egress {
		rules = p.out
	}
	for _, r := range rules {
		if r.action == "Log" {
			continue
		}
		match := r.matches(e, p, c)
		switch {
		case match == no:
		case r.unread != "":
			return unreadRule(r.reason, r.unread), "unknown"
		case match == maybe:
			return cannotTell(r.reason, r.reason.words()+" has a condition that the files do not answer"), "unknown"
		case p.accounts:
			return cannotTell(r.reason, r.reason.words()+" is of a policy for some service accounts, which are not known"), "unknown"
		case r.action == "Pass":
			return verdict{}, "Pass"
		default:
			return verdict{allowed: r.action == "Allow", by: r.reason, ruled: true}, r.action
		}
	}
	return verdict{}, ""
}
