// Package nft describes the nftables of one network namespace, as far as they filter new TCP
// connections. It writes what `nft -f` loads, reads what `nft -j list ruleset` prints, tells what
// happens to a packet, and compares rulesets. It runs no program.
package nft

import (
	"cmp"
	"net/netip"
)

// Ruleset holds some tables, or all tables of a network namespace.
type Ruleset struct {
	Tables []Table
	// LegacyUnread lists the families, ip or ip6, of which iptables-legacy has rules that are not here.
	LegacyUnread []string
}

// Table is one table.
type Table struct {
	Family, Name string
	Dormant      bool // its chains are not hooked
	// MaybeDormant is set if it has flags, and they are not known: nft up to 1.0.6 prints other memory
	// in their place in JSON.
	MaybeDormant bool
	Partial      bool // it has sets that are not here
	Sets         []Set
	Chains       []Chain
	// Why is written above it as a comment. So it is of sets and chains.
	Why []string

	chains map[string]int // by name, where there are many; made by Parse
}

// Set is a named set, or a map to verdicts.
type Set struct {
	Name     string
	Type     string // ipv4_addr, or several with " . " between
	Interval bool
	VerdictMap
	// Open sets may have other elements than those here: packets and other programs add
	// some, others expire, or some were not understood.
	Open bool
	Why  []string
}

// VerdictMap is elements, each with a verdict in a map. In order and apart, as Parse, Addrs,
// Networks and Ports make them, one is found without looking at all.
type VerdictMap struct {
	Map      bool
	Elements []Element
	sorted   bool
}

// Element is one key of a set, of as many parts as its type has.
type Element struct {
	Key     []Range
	Verdict Verdict // of a map
}

// Range is from one value to another, both included.
type Range struct{ From, To Value }

// Value is an address, a text, or a number.
type Value struct {
	Addr   netip.Addr // if valid, the value
	Text   string     // if not empty, the value
	Number uint64
}

// Compare orders values: numbers, texts, IPv4, IPv6.
func (v Value) Compare(w Value) int {
	return cmp.Or(v.Addr.Compare(w.Addr), cmp.Compare(v.Text, w.Text), cmp.Compare(v.Number, w.Number))
}

func (v Value) sameKind(w Value) bool {
	return v.Addr.BitLen() == w.Addr.BitLen() && (v.Text == "") == (w.Text == "")
}

// Chain is one chain. With a hook it is a base chain, which packets enter by themselves.
type Chain struct {
	Name     string
	Type     string   // filter, nat or route, of a base chain
	Hook     string   // empty where others have to jump to it
	Devices  []string // of the hooks ingress and egress
	Priority int
	Policy   string // accept or drop
	Rules    []Rule
	Unlisted bool // it has rules that are not here
	Why      []string

	before int // rules in front that are not of the chain, which numbers do not count
}

// Rule is statements, each run if those before it matched.
type Rule struct {
	Statements []Statement
	Comment    string
	Text       string // as iptables-save writes it, if it was read from there

	extensions []string // of iptables, by name
}

// Statement is one of its fields.
type Statement struct {
	Match   *Match
	Verdict *Verdict
	Map     *MapStatement
	NAT     *NAT
	Rewrite *Rewrite
	// Neutral decides nothing about the packet: a counter, a log, setting a mark.
	Neutral string
	// Perhaps goes on or not, by something that is not known here: a limit, a quota.
	Perhaps string
	// Unknown is not understood. It might even accept or drop.
	Unknown string
}

// Match compares fields of a packet, several if they are concatenated.
type Match struct {
	Fields  []Field
	Op      string // == != < > <= >= in
	Operand Operand
}

// Field names a property of a packet as nft writes it: "ip saddr", "meta iifname", "ct state".
type Field string

// Operand is a named set, or values.
type Operand struct {
	Set string
	VerdictMap
}

// MapStatement takes its verdict from a map: vmap.
type MapStatement struct {
	Fields  []Field
	Operand Operand
}

// Verdict is accept, drop, reject, return, continue, jump or goto; the last two go to a chain.
type Verdict struct{ Kind, Chain string }

// String returns the verdict as nft writes it.
func (v Verdict) String() string {
	if v.Chain != "" {
		return v.Kind + " " + v.Chain
	}
	return v.Kind
}

func (t *Table) chain(name string) *Chain {
	if t.chains != nil {
		if i, ok := t.chains[name]; ok {
			return &t.Chains[i]
		}
		return nil
	}
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i]
		}
	}
	return nil
}

func (t *Table) set(name string) *Set {
	for i := range t.Sets {
		if t.Sets[i].Name == name {
			return &t.Sets[i]
		}
	}
	return nil
}

// Hooked reports whether the table has a base chain, which packets enter by themselves.
func (t *Table) Hooked() bool {
	if t.Dormant {
		return false
	}
	for _, c := range t.Chains {
		if c.Hook != "" {
			return true
		}
	}
	return false
}
