package nft

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// Addrs returns a set of hosts, without the addresses of the other family.
func Addrs(name, typ string, addrs []netip.Addr) Set {
	s := Set{Name: name, Type: typ}
	for _, a := range addrs {
		if (typ == "ipv4_addr") == a.Is4() {
			s.Elements = append(s.Elements, singleElement(Value{Addr: a}))
		}
	}
	s.normalize()
	return s
}

// Networks returns a set of networks, without those of the other family.
func Networks(name, typ string, networks []netip.Prefix) Set {
	s := Set{Name: name, Type: typ, Interval: true}
	for _, p := range networks {
		if (typ == "ipv4_addr") == p.Addr().Is4() {
			s.Elements = append(s.Elements, Element{Key: []Range{prefixRange(p)}})
		}
	}
	s.normalize()
	return s
}

// Ports returns an anonymous set of ports.
func Ports(ports ...uint16) Operand {
	var o Operand
	for _, p := range ports {
		o.Elements = append(o.Elements, singleElement(Value{Number: uint64(p)}))
	}
	o.normalize()
	return o
}

func singleElement(v Value) Element { return Element{Key: []Range{{v, v}}} }

func prefixRange(p netip.Prefix) Range {
	p = p.Masked()
	return Range{Value{Addr: p.Addr()}, Value{Addr: lastAddr(p)}}
}

// lastAddr returns the highest address of a network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// normalize sorts the elements and, where each is one range without a verdict, joins those that
// overlap. Elements that are sorted and apart allow a binary search.
func (m *VerdictMap) normalize() {
	slices.SortStableFunc(m.Elements, func(a, b Element) int {
		return slices.CompareFunc(a.Key, b.Key, func(a, b Range) int { return a.From.Compare(b.From) })
	})
	m.sorted = !slices.ContainsFunc(m.Elements, func(e Element) bool { return len(e.Key) != 1 })
	if m.sorted && !m.Map {
		m.Elements = joinElements(m.Elements, func(before, r Range) bool { return r.From.Compare(before.To) <= 0 })
	}
}

// joinElements joins neighbours among sorted elements of one range each, where joins returns true.
func joinElements(elements []Element, joins func(before, r Range) bool) []Element {
	var all []Element
	for _, e := range elements {
		r := e.Key[0]
		if n := len(all); n > 0 {
			if before := all[n-1].Key[0]; before.To.sameKind(r.From) && joins(before, r) {
				if r.To.Compare(before.To) > 0 {
					all[n-1] = Element{Key: []Range{{before.From, r.To}}}
				}
				continue
			}
		}
		all = append(all, e)
	}
	return all
}

// nextValue returns the value after v, or v if there is none.
func nextValue(v Value) Value {
	switch {
	case v.Addr.IsValid():
		if n := v.Addr.Next(); n.IsValid() {
			return Value{Addr: n}
		}
	case v.Text == "" && v.Number < math.MaxUint64:
		return Value{Number: v.Number + 1}
	}
	return v
}

// find returns the first element that holds a key. Sorted elements are searched by halving.
func (m *VerdictMap) find(key []Value) (at int, found bool) {
	if m.sorted && len(key) == 1 {
		at, found := slices.BinarySearchFunc(m.Elements, key[0], func(e Element, v Value) int { return e.Key[0].From.Compare(v) })
		if !found {
			at--
		}
		if at >= 0 && m.Elements[at].Key[0].holds(key[0]) {
			return at, true
		}
		return 0, false
	}
	for i, e := range m.Elements {
		if e.holds(key) {
			return i, true
		}
	}
	return 0, false
}

func (e Element) holds(key []Value) bool {
	for i, r := range e.Key {
		if i >= len(key) || !r.holds(key[i]) {
			return false
		}
	}
	return len(e.Key) == len(key)
}

func (r Range) holds(v Value) bool {
	return r.From.sameKind(v) && r.From.Compare(v) <= 0 && v.Compare(r.To) <= 0
}

// prefix returns the range as a network, if it is exactly one.
func (r Range) prefix() (netip.Prefix, bool) {
	from, to := r.From.Addr, r.To.Addr
	if !from.IsValid() || !to.IsValid() || from.BitLen() != to.BitLen() {
		return netip.Prefix{}, false
	}
	a, b := from.As16(), to.As16()
	bits := from.BitLen()
	for i := range 2 {
		x := binary.BigEndian.Uint64(a[i*8:]) ^ binary.BigEndian.Uint64(b[i*8:])
		if x != 0 {
			lead := 0
			for mask := uint64(1) << 63; x&mask == 0; mask >>= 1 {
				lead++
			}
			bits = i*64 + lead - (128 - from.BitLen())
			break
		}
	}
	p := netip.PrefixFrom(from, bits)
	return p, p.Masked().Addr() == from && lastAddr(p) == to
}

// Text returns a text as an operand, such as the name of an interface.
func Text(s string) Operand {
	var o Operand
	o.Elements = []Element{singleElement(Value{Text: s})}
	o.normalize()
	return o
}
