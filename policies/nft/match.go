package nft

import (
	"cmp"
	"slices"
	"strings"
)

// truth tells whether a match holds; perhaps stands for unknown.
type truth uint8

const (
	no truth = iota
	perhaps
	yes
)

// keyOf returns the packet's values of some fields. If the packet lacks one of the fields, the
// truth is no: then no match holds, not even "!=". If a value is unknown, it is perhaps. The key
// is valid until the next call.
func (e *evaluation) keyOf(fields []Field) ([]Value, truth) {
	key := e.key[:0]
	known := yes
	for _, f := range fields {
		v, k := e.valueOf(f)
		if k == no {
			return nil, no
		}
		known = min(known, k)
		key = append(key, v)
	}
	e.key = key
	return key, known
}

// valueOf returns the packet's value of a field, and no if the packet lacks the field.
func (e *evaluation) valueOf(f Field) (Value, truth) {
	p := &e.packet
	protocol, field, _ := strings.Cut(string(f), " ")
	if p.layer == arp {
		return p.arpValue(f)
	}
	src, dst := p.Src, p.Dst
	switch protocol {
	case "ip", "ip6":
		if src.Is4() != (protocol == "ip") {
			return Value{}, no
		}
		switch field {
		case "saddr":
			if p.anySource {
				return Value{}, perhaps
			}
			return Value{Addr: src}, yes
		case "daddr":
			return Value{Addr: dst}, yes
		case "protocol", "nexthdr":
			return Value{Text: "tcp"}, yes
		}
	case "tcp", "th":
		server := "dport"
		if p.Stage == Answers {
			server = "sport"
		}
		if field == server {
			return Value{Number: uint64(p.Port)}, yes
		}
	case "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "esp", "ah", "arp", "comp":
		return Value{}, no
	}
	return e.contextOf(f)
}

// arpValue returns a value of the request for an address, or of its answer.
func (p *Packet) arpValue(f Field) (Value, truth) {
	protocol, _, _ := strings.Cut(string(f), " ")
	switch {
	case f == "arp saddr ip":
		return Value{Addr: p.Src}, yes
	case f == "arp daddr ip":
		return Value{Addr: p.Dst}, yes
	case f == "meta protocol":
		return Value{Text: "arp"}, yes
	case protocol == "arp" || protocol == "meta" || protocol == "ether" || !slices.Contains(protocols, protocol):
		return Value{}, perhaps
	}
	return Value{}, no
}

// protocols are those that no request for an address has.
var protocols = []string{"ip", "ip6", "tcp", "th", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "esp", "ah", "comp", "ct"}

// contextOf returns the value of a field that is not in the packet's headers, such as its interface.
func (e *evaluation) contextOf(f Field) (Value, truth) {
	p := &e.packet
	family, short := "ipv6", "ip6"
	if p.Src.Is4() {
		family, short = "ipv4", "ip"
	}
	switch f {
	case "meta nfproto":
		return Value{Text: family}, yes
	case "meta protocol":
		return Value{Text: short}, yes
	case "meta l4proto":
		return Value{Text: "tcp"}, yes
	case "meta iif", "meta iifname":
		if p.Hook == Output || p.Hook == Postrouting && (p.InLoopback || p.fromHost == yes) {
			return Value{Text: noInterface}, yes
		}
		if p.Hook != Postrouting || p.knowsAddress {
			return p.interfaceOf(), yes
		}
	case "meta oif", "meta oifname":
		if p.Hook == Input || p.Hook == Prerouting || p.Hook == Ingress {
			return Value{Text: noInterface}, yes
		}
		if p.Hook == Forward || p.knowsAddress {
			return p.interfaceOf(), yes
		}
	case "ct state":
		return p.state()
	case "ct direction":
		if p.Stage == Answers {
			return Value{Text: "reply"}, yes
		}
		return Value{Text: "original"}, yes
	case "fib daddr type":
		return p.addressType(p.toHost, p.Hook == Input, p.Hook == Forward)
	case "fib saddr type":
		return p.addressType(p.fromHost, false, p.Hook == Forward)
	}
	if isReversePath(f) {
		return Value{Text: pathExists}, yes
	}
	return Value{}, perhaps
}

// interfaceOf returns the interface at which a packet comes in or goes out. On a bridge it is the port.
func (p *Packet) interfaceOf() Value {
	if p.InLoopback {
		return Value{Text: "lo"}
	}
	return Value{Text: elsewhere}
}

// state returns what connection tracking knows of the packet.
func (p *Packet) state() (Value, truth) {
	switch {
	case p.untracked, p.layer == device, p.layer == frames:
		return Value{}, perhaps
	case p.Stage != Opens:
		return Value{Text: "established"}, yes
	}
	return Value{Text: "new"}, yes
}

// addressType returns the type of an address of the packet: that of this host or of another. The hook
// may tell, if the packet does not.
func (p *Packet) addressType(host truth, isLocal, isUnicast bool) (Value, truth) {
	switch {
	case isLocal, p.knowsAddress && host == yes:
		return Value{Text: "local"}, yes
	case isUnicast, p.knowsAddress && host == no:
		return Value{Text: "unicast"}, yes
	}
	return Value{}, perhaps
}

// hasStatus reports whether the connection of a packet has one of some bits of status.
func (e *evaluation) hasStatus(m *Match) truth {
	p := &e.packet
	if p.untracked || m.Op != "in" && m.Op != "==" && m.Op != "!=" || m.Operand.Set != "" || m.Op != "in" && len(m.Operand.Elements) != 1 {
		return perhaps
	}
	found := no
	for _, element := range m.Operand.Elements {
		if len(element.Key) != 1 {
			return perhaps
		}
		switch bit := element.Key[0].From.Text; {
		case bit == "dnat" && p.translated, bit == "seen-reply" && p.Stage != Opens:
			found = yes
		case bit == "dnat", bit == "seen-reply", bit == "expected", bit == "dying":
		default:
			found = max(found, perhaps)
		}
	}
	switch {
	case m.Op == "in":
		return found
	case m.Op == "==" && found == no:
		return no
	}
	return perhaps // equal to all bits together
}

const (
	// elsewhere stands for any interface but lo. No real interface has a name of this length.
	elsewhere = "an interface which is not lo"
	// noInterface stands for the empty name that the kernel compares where a packet has no interface
	// (Linux, net/netfilter/nft_meta.c, nft_meta_store_ifname).
	noInterface = "no interface at all"
	// pathExists and pathMissing are the two outcomes of a check of the reverse path.
	pathExists  = "exists"
	pathMissing = "missing"
)

// isReversePath reports whether a field is the check that a route leads back to the sender.
func isReversePath(f Field) bool {
	return strings.HasPrefix(string(f), "fib saddr") && strings.HasSuffix(string(f), " oif")
}

func (e *evaluation) match(m *Match) truth {
	if len(m.Fields) == 1 && m.Fields[0] == "ct status" {
		return e.hasStatus(m)
	}
	if len(m.Fields) == 1 && m.Fields[0] == trackedState {
		return e.matchTrackedState(m)
	}
	if len(m.Fields) == 1 && isFlags(m.Fields[0]) && e.packet.layer != arp {
		return e.matchFlags(m)
	}
	if e.isClientPort(m.Fields) {
		return e.matchClientPort(m)
	}
	key, known := e.keyOf(m.Fields)
	if known == no {
		return no
	}
	elements, open, ok := e.resolveOperand(&m.Operand)
	if known == perhaps || !ok || open {
		return perhaps
	}
	switch m.Op {
	case "==", "in":
		return e.contains(elements, key)
	case "!=":
		return yes - e.contains(elements, key)
	}
	return compareOrder(m.Op, key, elements)
}

// The ports from which clients connect: Linux's default (Documentation/networking/ip-sysctl.rst,
// ip_local_port_range).
const firstClientPort, lastClientPort = 32768, 60999

// isClientPort reports whether the only field is the port of the client.
func (e *evaluation) isClientPort(fields []Field) bool {
	if len(fields) != 1 || e.packet.layer == arp {
		return false
	}
	protocol, field, _ := strings.Cut(string(fields[0]), " ")
	if protocol != "tcp" && protocol != "th" {
		return false
	}
	return field == "sport" && e.packet.Stage != Answers || field == "dport" && e.packet.Stage == Answers
}

// matchClientPort matches a port of which only the range is known.
func (e *evaluation) matchClientPort(m *Match) truth {
	elements, open, ok := e.resolveOperand(&m.Operand)
	if !ok || open {
		return perhaps
	}
	first, last := Value{Number: firstClientPort}, Value{Number: lastClientPort}
	switch m.Op {
	case "==", "in", "!=":
	default:
		low, high := compareOrder(m.Op, []Value{first}, elements), compareOrder(m.Op, []Value{last}, elements)
		if low == high {
			return low
		}
		return perhaps
	}
	found := no
	for _, element := range elements.Elements {
		if len(element.Key) != 1 || !element.Key[0].From.sameKind(first) {
			return perhaps
		}
		switch r := element.Key[0]; {
		case r.holds(first) && r.holds(last):
			found = yes
		case r.From.Number <= lastClientPort && r.To.Number >= firstClientPort:
			found = max(found, perhaps)
		}
	}
	if m.Op == "!=" {
		return yes - found
	}
	return found
}

// compareOrder compares by < > <= or >=, for which nft allows one value only.
func compareOrder(op string, key []Value, with *VerdictMap) truth {
	if len(key) != 1 || len(with.Elements) != 1 || len(with.Elements[0].Key) != 1 {
		return perhaps
	}
	limit := with.Elements[0].Key[0]
	if limit.From != limit.To || !limit.From.sameKind(key[0]) || limit.From.Text != "" {
		return perhaps
	}
	order := cmp.Compare(key[0].Number, limit.From.Number)
	if key[0].Addr.IsValid() {
		order = key[0].Addr.Compare(limit.From.Addr)
	}
	holds := map[string]bool{"<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[op]
	if holds {
		return yes
	}
	return no
}

// resolveOperand returns the values of an operand; open reports whether its set has unknown elements.
func (e *evaluation) resolveOperand(o *Operand) (elements *VerdictMap, open, ok bool) {
	if o.Set == "" {
		return &o.VerdictMap, false, true
	}
	if s := e.table.set(o.Set); s != nil {
		return &s.VerdictMap, s.Open, true
	}
	if e.table.Partial {
		kind := "set"
		if o.Map {
			kind = "map"
		}
		e.unlisted = append(e.unlisted, Part{kind, e.table.Family, e.table.Name, o.Set})
	}
	return nil, false, false
}

// contains reports whether the elements have a key. An element in another notation, such as the
// name of a port, may be equal: then the answer is perhaps.
func (e *evaluation) contains(m *VerdictMap, key []Value) truth {
	if _, found := m.find(key); found {
		return yes
	}
	if m.sorted && len(key) == 1 && key[0].Text == "" {
		// Ranges of one kind stand together, so the two ends tell of all between.
		if n := len(m.Elements); n == 0 || m.Elements[0].Key[0].From.sameKind(key[0]) && m.Elements[n-1].Key[0].From.sameKind(key[0]) {
			return no
		}
	}
	for _, element := range m.Elements {
		if len(element.Key) != len(key) {
			return perhaps
		}
		may := true
		for i, r := range element.Key {
			may = may && mayHold(r, key[i])
		}
		if may {
			return perhaps
		}
	}
	return no
}

// mayHold reports whether a range might hold a value, even if it names the value differently.
func mayHold(r Range, v Value) bool {
	switch {
	case r.holds(v):
		return true
	case v.Text == elsewhere:
		return r.From.Text != "lo"
	case v.Text == pathExists:
		return r.From.Text != pathMissing // the name of the interface of the route is not known
	case v.Text == noInterface:
		return r.From.Text == "*"
	case strings.HasSuffix(r.From.Text, "*"):
		return strings.HasPrefix(v.Text, strings.TrimSuffix(r.From.Text, "*"))
	case r.From.sameKind(v):
		return false
	case v.Text == "tcp" && r.From.Text == "":
		return r.From.Number <= 6 && 6 <= r.To.Number
	}
	return true
}
