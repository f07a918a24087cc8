package nft

import (
	"cmp"
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
	switch protocol {
	case "ip", "ip6":
		if p.Src.Is4() != (protocol == "ip") {
			return Value{}, no
		}
		switch field {
		case "saddr":
			return Value{Addr: p.Src}, yes
		case "daddr":
			return Value{Addr: p.Dst}, yes
		case "protocol":
			return Value{Text: "tcp"}, yes
		}
	case "tcp", "th":
		if field == "dport" {
			return Value{Number: uint64(p.Port)}, yes
		}
	case "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "esp", "ah", "arp", "comp":
		return Value{}, no
	}
	return e.contextOf(f)
}

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
		if p.Hook == Output || p.Hook == Postrouting && p.InLoopback {
			return Value{}, no
		}
		if p.InLoopback {
			return Value{Text: "lo"}, yes
		}
		return Value{Text: elsewhere}, yes
	case "meta oif", "meta oifname":
		if p.Hook == Input || p.Hook == Prerouting {
			return Value{}, no
		}
		if p.Hook == Forward {
			return Value{Text: elsewhere}, yes
		}
	case "ct state":
		return Value{Text: "new"}, yes // the first packet of a connection
	case "fib daddr type":
		if p.Hook == Input {
			return Value{Text: "local"}, yes
		}
		if p.Hook == Forward {
			return Value{Text: "unicast"}, yes
		}
	}
	return Value{}, perhaps
}

// elsewhere stands for any interface but lo. No real interface has a name of this length.
const elsewhere = "an interface which is not lo"

func (e *evaluation) match(m *Match) truth {
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
	case strings.HasSuffix(r.From.Text, "*"):
		return strings.HasPrefix(v.Text, strings.TrimSuffix(r.From.Text, "*"))
	case r.From.sameKind(v):
		return false
	case v.Text == "tcp" && r.From.Text == "":
		return r.From.Number <= 6 && 6 <= r.To.Number
	}
	return true
}
