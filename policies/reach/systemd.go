package reach

import (
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
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
	if at.member == "" {
		return verdict{allowed: true}
	}
	other := at.conn.src.addr
	if at.passage == sends {
		other = at.conn.dst.addr
	}
	return e.unitVerdict(at.member, other, at.passage == loops)
}

// unitOf returns what the files for a member say together.
func (e *evaluator) unitOf(member string) *policies.UnitFilter {
	if f, ok := e.units[member]; ok {
		return f
	}
	var own []policies.SystemdDropIn
	for _, u := range e.filters.Units {
		if u.Member == "" || u.Member == member {
			own = append(own, u)
		}
	}
	f := policies.MergeUnits(own)
	e.units[member] = &f
	return &f
}

// unitVerdict judges by a member's unit what it receives from an address or sends to it. The lists
// of addresses have no ports, and the list that allows wins over the list that denies.
func (e *evaluator) unitVerdict(member string, other netip.Addr, loopback bool) verdict {
	u := e.unitOf(member)
	name := u.Unit
	if name == "" {
		name = "etcd.service"
	}
	by := func(setting string) *reason {
		return e.reasonFor(Decision{Kind: ByRule, Engine: cluster.BackendSystemd, Policy: name, Rule: setting, Member: member})
	}
	family := "AF_INET"
	if !other.Is4() {
		family = "AF_INET6"
	}
	switch {
	case u.StartsOther():
		r := by("ExecStart=" + u.Program)
		return cannotTell(r, r.words()+": whether etcd then runs in the unit, and in its network, is not known here")
	case u.Private && len(u.Unread) == 0:
		return deny(by("PrivateNetwork=yes")) // its namespace has no interface but lo
	case u.Families != nil && !u.Families.Allows(family):
		return deny(by(u.Families.Setting))
	case u.Interfaces != nil && deniesInterface(u.Interfaces, loopback):
		return deny(by(u.Interfaces.Setting))
	}
	v := listVerdict(u, other, by)
	switch {
	case !v.allowed:
		return v
	case len(u.Unread) > 0:
		r := by(u.Unread[0])
		return cannotTell(r, r.words()+": what it does is not known here")
	case u.Interfaces != nil && !loopback:
		r := by(u.Interfaces.Setting)
		return cannotTell(r, r.words()+": nothing says by which interface a packet comes or goes")
	}
	return v
}

// deniesInterface reports whether a list surely denies the interface of a packet. All that is known of
// it is whether it is lo.
func deniesInterface(l *policies.UnitList, loopback bool) bool {
	if loopback {
		return !l.Allows("lo")
	}
	return !l.Except && !slices.ContainsFunc(l.Names, func(n string) bool { return n != "lo" })
}

func listVerdict(u *policies.UnitFilter, other netip.Addr, by func(string) *reason) verdict {
	for _, p := range u.Allow {
		if p.Contains(other) {
			return allow(by("IPAddressAllow=" + p.String()))
		}
	}
	for _, p := range u.Deny {
		if p.Contains(other) {
			return deny(by("IPAddressDeny=" + p.String()))
		}
	}
	return verdict{allowed: true}
}
