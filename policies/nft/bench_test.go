package nft

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
)

// benchTable lets the addresses of a set in, and drops others.
func benchTable(n int) *Ruleset {
	var addrs []netip.Addr
	a := netip.MustParseAddr("10.0.0.1")
	for range n {
		addrs = append(addrs, a)
		a = a.Next().Next()
	}
	dport := Statement{Match: &Match{Fields: []Field{"tcp dport"}, Op: "==", Operand: Ports(2379, 2380, 2381)}}
	return &Ruleset{Tables: []Table{{
		Family: "inet", Name: "bench", Sets: []Set{Addrs("s", "ipv4_addr", addrs)},
		Chains: []Chain{{Name: "input", Type: "filter", Hook: "input", Policy: "accept", Rules: []Rule{
			{Statements: []Statement{{Match: &Match{Fields: []Field{"ip saddr"}, Op: "==", Operand: Operand{Set: "s"}}}, dport, {Verdict: &Verdict{Kind: "accept"}}}},
			{Statements: []Statement{dport, {Verdict: &Verdict{Kind: "drop"}}}},
		}}},
	}}}
}

// What a packet costs must not grow with the addresses in a set.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("addresses=%d", n), func(b *testing.B) {
			r := benchTable(n)
			p := Packet{Hook: Input, Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("10.0.0.1"), Port: 2379}
			b.ReportAllocs()
			for b.Loop() {
				if d := r.Decide(p); d.Accept || d.Err != nil {
					b.Fatalf("got %+v", d)
				}
			}
		})
	}
}

// benchDump is a dump of a chain with some rules, as iptables-nft makes them.
func benchDump(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "ip", "name": "filter", "handle": 1}},` +
		`{"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}`)
	for i := range n {
		fmt.Fprintf(&b, `,{"rule": {"family": "ip", "table": "filter", "chain": "INPUT", "handle": %d, "expr": [`+
			`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.%d.%d.0", "len": 24}}}},`+
			`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": %d}}, {"counter": {"packets": 0, "bytes": 0}}, {"drop": null}]}}`,
			i+2, i>>8&255, i&255, 1+i%60000)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			data := benchDump(n)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if r, err := Parse(data); err != nil || len(r.Tables[0].Chains[0].Rules) != n {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecideRules(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			r, err := Parse(benchDump(n))
			if err != nil {
				b.Fatal(err)
			}
			p := Packet{Hook: Input, Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("10.0.0.1"), Port: 2379}
			b.ReportAllocs()
			for b.Loop() {
				if d := r.Decide(p); !d.Accept || d.Err != nil {
					b.Fatalf("got %+v", d)
				}
			}
		})
	}
}
