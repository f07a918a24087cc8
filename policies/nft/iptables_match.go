package nft

import (
	"net/netip"
	"slices"
	"strings"
)

// parseSavedMatch reads one match of a rule, as statements of which all have to hold. What is not
// understood is perhaps.
func parseSavedMatch(family string, p part) []Statement {
	unknown := []Statement{{Perhaps: p.String()}}
	var all []Statement
	add := func(s Statement, ok bool) bool {
		all = append(all, s)
		return ok
	}
	switch p.name {
	case "comment":
		return []Statement{{Neutral: p.name}}
	case "rpfilter":
		return []Statement{p.reversePath()}
	case "rt", "dst", "hbh", "frag", "mh":
		// Headers that TCP's packets do not have; a match fails where they are absent, also an inverted one
		// (Linux, net/ipv6/netfilter/ip6t_rt.c, rt_mt6). None is a field that a packet lacks.
		return []Statement{matchOperand(absentHeader, Text(p.name), false)}
	case "icmp", "icmp6", "sctp", "dccp", "udplite", "esp", "ah":
		return []Statement{matchOperand(absentHeader, Text(p.name), false)}
	}
	for _, o := range p.options {
		value, ok := o.value()
		switch name := p.name + " " + o.name; {
		case p.name == "tcp" && o.name == "--tcp-flags":
			ok = add(parseSavedFlags(o))
		case !ok:
		case p.name == "tcp" || p.name == "udp" || p.name == "multiport":
			ok = add(parseSavedPorts(p.name, o.name, value, o.not))
		case name == "conntrack --ctstate" || name == "state --state":
			add(matchOperand(trackedState, texts(value), o.not), true)
		case name == "conntrack --ctdir":
			add(matchOperand("ct direction", texts(value), false), true)
		case name == "conntrack --ctproto":
			ok = add(matchProtocol(value, o.not))
		case name == "addrtype --dst-type":
			ok = add(matchAddressType(family, "fib daddr type", value, o.not))
		case name == "addrtype --src-type":
			ok = add(matchAddressType(family, "fib saddr type", value, o.not))
		case name == "iprange --src-range":
			ok = add(matchRange(family, "saddr", value, o.not))
		case name == "iprange --dst-range":
			ok = add(matchRange(family, "daddr", value, o.not))
		default:
			ok = false
		}
		if !ok {
			return unknown
		}
	}
	if len(p.options) == 0 && !slices.Contains([]string{"tcp", "udp"}, p.name) {
		return unknown
	}
	return all
}

// matchAddressType matches the type of an address. For IPv6 the types are not alternatives: the address has
// to be of each of the first kinds, and for them an address of this host is unicast too (Linux,
// net/netfilter/xt_addrtype.c, match_type6).
func matchAddressType(family string, f Field, value string, not bool) (Statement, bool) {
	types := strings.Split(value, ",")
	if family == "ip" {
		return matchOperand(f, texts(value), not), true
	}
	var looked []string // up in the table of routes
	fails := false
	for _, kind := range types {
		switch kind {
		case "UNICAST": // as every address of TCP
		case "MULTICAST", "UNSPEC":
			fails = true
		case "LOCAL", "ANYCAST", "UNREACHABLE":
			looked = append(looked, kind)
		default:
			return Statement{}, false
		}
	}
	if fails || len(looked) == 0 {
		return matchOperand("meta l4proto", Text("tcp"), fails != not), true
	}
	return matchOperand(f, texts(strings.Join(looked, ",")), not), true
}

// absentHeader is a field that no packet here has.
const absentHeader Field = "udp header"

// trackedState is the state of a connection, or how its addresses were translated, which iptables has in
// one list.
const trackedState Field = "ct state of iptables"

// texts returns an operand of several names, in lower case as nft has them.
func texts(list string) Operand {
	var o Operand
	for _, s := range strings.Split(strings.ToLower(list), ",") {
		o.Elements = append(o.Elements, singleElement(Value{Text: s}))
	}
	o.normalize()
	return o
}

// reversePath reads the check that a route leads back to the sender. Its other options only say which
// routes count.
func (p part) reversePath() Statement {
	if slices.ContainsFunc(p.options, func(o option) bool { return o.name == "--invert" }) {
		return matchOperand("fib saddr . iif oif", Text(pathMissing), false)
	}
	return matchOperand("fib saddr . iif oif", Text(pathExists), false)
}

func parseSavedFlags(o option) (Statement, bool) {
	if len(o.values) != 2 {
		return Statement{}, false
	}
	mask, want := strings.ToLower(o.values[0]), strings.ToLower(o.values[1])
	if mask == "none" || mask == "all" || want == "all" {
		return Statement{}, false // iptables-save writes the flags themselves
	}
	var flags Operand
	if want != "none" {
		flags = texts(want)
	}
	return matchOperand(Field(maskedFlags+strings.ReplaceAll(mask, ",", "|")+")"), flags, o.not), true
}

func parseSavedPorts(protocol, name, value string, not bool) (Statement, bool) {
	if protocol == "multiport" {
		protocol = "th"
	}
	ports, ok := parsePorts(value)
	switch name {
	case "--dport", "--dports":
		return matchOperand(Field(protocol+" dport"), ports, not), ok
	case "--sport", "--sports":
		return matchOperand(Field(protocol+" sport"), ports, not), ok
	}
	return Statement{}, false
}

func matchRange(family, field, value string, not bool) (Statement, bool) {
	first, last, isRange := strings.Cut(value, "-")
	if !isRange {
		last = first
	}
	from, err := netip.ParseAddr(first)
	to, err2 := netip.ParseAddr(last)
	if err != nil || err2 != nil || from.BitLen() != to.BitLen() || from.Compare(to) > 0 || from.Is4() != (family == "ip") {
		return Statement{}, false
	}
	var o Operand
	o.Elements = []Element{{Key: []Range{{Value{Addr: from}, Value{Addr: to}}}}}
	o.normalize()
	return matchOperand(Field(family+" "+field), o, not), true
}

// matchTrackedState matches the state of a connection, or that it was translated.
func (e *evaluation) matchTrackedState(m *Match) truth {
	state, known := e.packet.state()
	found := no
	for _, element := range m.Operand.Elements {
		switch want := element.Key[0].From.Text; {
		case want == "dnat" && !e.packet.untracked:
			if e.packet.translated {
				found = yes
			}
		case want == "snat" && (e.packet.untracked || e.packet.mayHaveOtherSource()), want == "dnat":
			found = max(found, perhaps)
		case want == "snat":
		case known == perhaps:
			found = max(found, perhaps)
		case state.Text == want:
			found = yes
		}
	}
	if m.Op == "!=" {
		return yes - found
	}
	return found
}

// mayHaveOtherSource reports whether the source of a connection may have been translated before a packet
// of it is seen: not if it is the first one and has not gone out.
func (p *Packet) mayHaveOtherSource() bool { return p.Stage != Opens || p.Hook == Postrouting }
