package policies_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/policies/reach"
)

// hookCase is a table of somebody else on the host of a member.
type hookCase struct {
	name, table string
	alone       bool // the host has no table of the product
	unsure      bool // the proof need not know what becomes of every connection
}

func hookCases() []hookCase {
	return []hookCase{
		{name: "drops peers at prerouting", table: "table ip x {\n chain c {\n type filter hook prerouting priority -300;\n ip saddr 10.0.0.12 tcp dport 2380 drop\n }\n}\n"},
		{name: "an allow-list at prerouting", alone: true, table: "table inet x {\n chain c {\n type filter hook prerouting priority -150;\n" +
			" tcp dport { 2379, 2380 } ip saddr { 10.0.0.11-10.0.0.13, 10.0.0.21 } accept\n tcp dport { 2379, 2380 } drop\n }\n}\n"},
		{name: "drops answers at output", table: "table inet x {\n chain c {\n type filter hook output priority 0;\n tcp sport 2379 drop\n }\n}\n"},
		{name: "drops everything in, and is dormant", alone: true, table: "table inet x {\n flags dormant\n chain c {\n type filter hook input priority 0; policy drop;\n }\n}\n", unsure: true},
		{name: "drops a sender at its device", table: "table netdev x {\n chain c {\n type filter hook ingress device eth0 priority 0;\n ip saddr 10.0.0.12 tcp dport 2379 drop\n }\n}\n", unsure: true},
		{name: "sends connections to another host", table: "table ip x {\n chain c {\n type nat hook prerouting priority dstnat;\n tcp dport 2379 dnat to 10.0.0.31:2379\n }\n" +
			" chain d {\n type nat hook postrouting priority srcnat;\n ct status dnat masquerade\n }\n}\n", unsure: true},
		{name: "brings another port to the member's", table: "table ip x {\n chain c {\n type nat hook prerouting priority dstnat;\n tcp dport 2380 redirect to :2379\n }\n}\n", unsure: true},
	}
}

// Other software has tables of its own, at hooks that packets pass before and after those of the
// product, and translates addresses. What the proof knows of a connection is what becomes of it.
func (s *policiesSite) testOtherHooks(t *testing.T) {
	to := s.host("joining") // its ports are open, and the cluster does not need it
	s.host("worker").listen(t, "10.0.0.31:2379")
	var flows []labFlow
	for _, name := range []string{"cp-0", "cp-1", "api", "outsider", "pod-routed"} {
		for _, dst := range to.addrs {
			for _, port := range []uint16{2379, 2380} {
				flows = append(flows, labFlow{s.host(name), to, dst, port})
			}
		}
	}
	reachable := func() []bool {
		var all []bool
		for _, r := range measure(t, flows, func(f labFlow) bool { return f.wanted(s.intent) }) {
			all = append(all, r == reached)
		}
		return all
	}
	usual := reachable()
	for _, c := range hookCases() {
		if c.alone {
			to.run(t, "", "nft", "delete", "table", "inet", labTable)
		}
		to.run(t, c.table, "nft", "-f", "-")
		to.rules = to.ruleset(t)
		proofs := map[*labHost]reach.Proof{}
		said := make([]reach.Flow, len(flows))
		for n, f := range flows {
			if _, known := proofs[f.from]; !known {
				proofs[f.from] = s.prove(f.from)
			}
			said[n] = findFlow(t, proofs[f.from], f)
		}
		got, unknown := make([]bool, len(flows)), 0
		for n, r := range measure(t, flows, func(f labFlow) bool {
			at := slices.Index(flows, f)
			return said[at].Unknown == "" && said[at].Allowed
		}) {
			got[n] = r == reached
			switch p := said[n]; {
			case p.Unknown != "":
				unknown++
			case got[n] != p.Allowed:
				t.Errorf("%s: %s: %s; the matrix says %t (%s)", c.name, flows[n], r, p.Allowed, p.DecidedBy)
			}
		}
		if unknown > 0 && !c.unsure {
			t.Errorf("%s: the proof does not know %d of %d connections", c.name, unknown, len(flows))
		}
		if slices.Equal(got, usual) {
			t.Errorf("%s: the table changes nothing; the laboratory does not see it", c.name)
		}
		family := strings.Fields(c.table)[1]
		to.run(t, "", "nft", "delete", "table", family, "x")
		s.load(t)
	}
}
