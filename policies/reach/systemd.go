package reach

import (
	"net/netip"

	"github.com/etcdsec/etcdsec/cluster"
)

func systemdEngine() engine {
	return engine{
		backend: cluster.BackendSystemd, judge: judgeByUnit,
		distinguish: func(s *signatures) {
			for _, u := range s.e.filters.Units {
				s.addBoundaries(u.Allow...)
				s.addBoundaries(u.Deny...)
			}
		},
		words: func(d Decision) string { return d.Rule + " of " + d.Policy + " on " + d.Member },
	}
}

// judgeByUnit judges by the unit of the member that sends or receives a packet.
func judgeByUnit(e *evaluator, at place) verdict {
	switch {
	case at.member == "":
		return verdict{allowed: true}
	case at.passage == sends:
		return e.unitVerdict(at.member, at.conn.dst.addr)
	}
	return e.unitVerdict(at.member, at.conn.src.addr)
}

// unitVerdict judges by a member's unit what it receives from an address or sends to it. The lists
// have no ports, and the list that allows wins over the list that denies.
func (e *evaluator) unitVerdict(member string, other netip.Addr) verdict {
	name := ""
	var allowed, denied []netip.Prefix
	for _, u := range e.filters.Units {
		if u.Member == "" || u.Member == member {
			allowed, denied = append(allowed, u.Allow...), append(denied, u.Deny...)
			name = u.Unit
		}
	}
	if name == "" {
		name = "etcd.service"
	}
	by := func(setting string, p netip.Prefix) *reason {
		return e.reasonFor(Decision{Kind: ByRule, Engine: cluster.BackendSystemd, Policy: name, Rule: setting + "=" + p.String(), Member: member})
	}
	for _, p := range allowed {
		if p.Contains(other) {
			return allow(by("IPAddressAllow", p))
		}
	}
	for _, p := range denied {
		if p.Contains(other) {
			return deny(by("IPAddressDeny", p))
		}
	}
	return verdict{allowed: true}
}
