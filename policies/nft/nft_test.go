package nft

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dump is what nft 1.0.6 printed of the file in testdata beside it.
func dump(t testing.TB, name string) *Ruleset {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hooked is a ruleset of nft's JSON, whose rules are those of an input chain.
func hooked(t *testing.T, policy, rules string) *Ruleset {
	t.Helper()
	r, err := Parse([]byte(`{"nftables": [{"table": {"family": "inet", "name": "t"}},
		{"set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "elem": ["10.0.0.1", "10.0.0.3"]}},
		{"set": {"family": "inet", "table": "t", "name": "open", "type": "ipv4_addr", "flags": ["timeout"], "elem": ["10.0.0.1"]}},
		{"chain": {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "` + policy + `"}},
		{"chain": {"family": "inet", "table": "t", "name": "sub"}},
		{"rule": {"family": "inet", "table": "t", "chain": "sub", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.0.0.1"}}, {"return": null}]}},
		{"rule": {"family": "inet", "table": "t", "chain": "sub", "expr": [{"drop": null}]}}` + rules + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inputRule(expr string) string {
	return `,{"rule": {"family": "inet", "table": "t", "chain": "in", "expr": [` + expr + `]}}`
}

func TestDecide(t *testing.T) {
	t.Parallel()
	match := func(op, left, right string) string {
		return `{"match": {"op": "` + op + `", "left": ` + left + `, "right": ` + right + `}}`
	}
	payload := func(protocol, field string) string {
		return `{"payload": {"protocol": "` + protocol + `", "field": "` + field + `"}}`
	}
	meta := func(key string) string { return `{"meta": {"key": "` + key + `"}}` }
	const accept, drop, limit = `{"accept": null}`, `{"drop": null}`, `{"limit": {"rate": 1, "per": "second"}}`
	saddr, dport := payload("ip", "saddr"), payload("tcp", "dport")
	rules := func(each ...string) string {
		var b strings.Builder
		for _, e := range each {
			b.WriteString(inputRule(e))
		}
		return b.String()
	}
	tests := []struct {
		name, policy, rules string
		want                string // accept, drop or unknown
		rule                string // part of it
	}{
		{"a policy accepts", "accept", "", "accept", "inet t in: policy accept"},
		{"a policy drops", "drop", "", "drop", "inet t in: policy drop"},
		{"a rule before the policy", "drop", rules(accept), "accept", "in rule 1: accept"},
		{"an address that matches", "accept", rules(match("==", saddr, `"10.0.0.1"`) + "," + drop), "drop", "ip saddr 10.0.0.1 drop"},
		{"an address that does not", "accept", rules(match("!=", saddr, `"10.0.0.1"`) + "," + drop), "accept", "policy"},
		{"a network", "accept", rules(match("==", saddr, `{"prefix": {"addr": "10.0.0.0", "len": 8}}`) + "," + drop), "drop", "10.0.0.0/8"},
		{"a range of ports", "accept", rules(match("==", dport, `{"range": [2379, 2381]}`) + "," + drop), "drop", "2379-2381"},
		{"ports, anonymous", "accept", rules(match("==", dport, `{"set": [1, {"range": [2000, 3000]}]}`) + "," + drop), "drop", ""},
		{"a port that is none of them", "accept", rules(match("==", dport, `{"set": [1, 3]}`) + "," + drop), "accept", ""},
		{"a port by name may be it", "accept", rules(match("==", dport, `"etcd-client"`) + "," + drop), "unknown", "etcd-client"},
		{"less", "accept", rules(match("<", dport, `2380`) + "," + drop), "drop", ""},
		{"not more", "accept", rules(match(">", dport, `2379`) + "," + drop), "accept", ""},
		{"the other family has no such field", "drop", rules(match("!=", payload("ip6", "saddr"), `"fd00::1"`) + "," + accept), "drop", "policy"},
		{"another protocol", "drop", rules(match("!=", payload("udp", "dport"), `53`) + "," + accept), "drop", "policy"},
		{"a named set", "accept", rules(match("==", saddr, `"@s"`) + "," + drop), "drop", "@s"},
		{"a set that changes by itself", "accept", rules(match("==", saddr, `"@open"`) + "," + drop), "unknown", "@open"},
		{"a set that is not there", "accept", rules(match("==", saddr, `"@none"`) + "," + drop), "unknown", ""},
		{"not from lo", "accept", rules(match("==", meta("iifname"), `"lo"`) + "," + drop), "accept", ""},
		{"any interface but lo", "accept", rules(match("!=", meta("iif"), `"lo"`) + "," + drop), "drop", ""},
		{"an interface that is not known", "accept", rules(match("==", meta("iifname"), `"eth0"`) + "," + drop), "unknown", "eth0"},
		{"no interface is not one by any name", "accept", rules(match("!=", meta("oifname"), `"eth0"`) + "," + drop), "drop", "oifname"},
		{"no interface has no name", "accept", rules(match("==", meta("oifname"), `"eth0"`) + "," + drop), "accept", ""},
		{"a new connection", "drop", rules(match("in", `{"ct": {"key": "state"}}`, `["established", "related"]`)+","+accept, match("==", `{"ct": {"key": "state"}}`, `"new"`)+","+accept), "accept", "rule 2"},
		{"of two kinds of doubt the outcome is one", "drop", rules(limit+","+drop, drop), "drop", "rule 1"},
		{"a limit decides", "drop", rules(limit + "," + accept), "unknown", "limit"},
		{"a doubt above what is sure in both cases", "accept", rules(limit+","+accept, accept), "accept", ""},
		{"an unknown statement may drop", "accept", rules(`{"xt": {"type": "target", "name": "NFQUEUE"}}`), "unknown", "xt"},
		{"an extension that refuses", "accept", rules(`{"xt": {"type": "target", "name": "REJECT"}}`), "drop", "reject"},
		{"an extension that is not described", "accept", rules(`{"xt": null}`), "unknown", "xt"},
		{"an extension that counts, marks or logs", "drop", rules(`{"xt": {"type": "target", "name": "MARK"}}`, accept), "accept", "rule 2"},
		{"a comment of iptables decides nothing", "drop", rules(`{"xt": {"type": "match", "name": "comment"}},` + accept), "accept", "comment"},
		{"a match of iptables goes on or not", "accept", rules(`{"xt": {"type": "match", "name": "conntrack"}},` + drop), "unknown", "conntrack"},
		{"a match of iptables, and both are one", "accept", rules(`{"xt": {"type": "match", "name": "conntrack"}},` + accept), "accept", ""},
		{"a match of iptables after what does not match", "accept", rules(match("==", dport, `22`) + `,{"xt": {"type": "match", "name": "recent"}},` + drop), "accept", ""},
		{"nothing was translated", "accept", rules(match("in", `{"ct": {"key": "status"}}`, `"dnat"`) + "," + drop), "accept", ""},
		{"no answer was seen", "accept", rules(match("in", `{"ct": {"key": "status"}}`, `["seen-reply", "dnat"]`) + "," + drop), "accept", ""},
		{"a status that is not known", "accept", rules(match("in", `{"ct": {"key": "status"}}`, `"confirmed"`) + "," + drop), "unknown", "confirmed"},
		{"a way back is there", "accept", rules(match("==", `{"fib": {"result": "oif", "flags": ["saddr", "mark", "iif"]}}`, `false`) + "," + drop), "accept", ""},
		{"the first packet has SYN alone", "accept", rules(match("!=", `{"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]}`, `"syn"`) + "," + drop), "accept", ""},
		{"the first packet has SYN", "accept", rules(match("==", `{"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]}`, `"syn"`) + "," + drop), "drop", "tcp flags & (fin|syn|rst|ack) syn"},
		{"a client's port", "accept", rules(match("==", payload("tcp", "sport"), `2379`) + "," + drop), "accept", ""},
		{"any client's port", "accept", rules(match("==", payload("tcp", "sport"), `{"range": [1024, 65535]}`) + "," + drop), "drop", ""},
		{"some client's port", "accept", rules(match(">", payload("th", "sport"), `40000`) + "," + drop), "unknown", "sport"},
		{"an unknown statement behind what does not match", "accept", rules(match("==", dport, `22`) + `,{"xt": null}`), "accept", ""},
		{"what counts does not decide", "drop", rules(`{"counter": {"packets": 1, "bytes": 2}},{"log": null},` + accept), "accept", "counter log accept"},
		{"a mark decides nothing by itself", "drop", rules(`{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}`, accept), "accept", "rule 2"},
		{"a mark that is asked for", "drop", rules(match("==", meta("mark"), `1`) + "," + accept), "unknown", "mark"},
		{"reject is no", "accept", rules(`{"reject": {"type": "tcp reset"}}`), "drop", "reject"},
		{"a jump comes back", "accept", rules(`{"jump": {"target": "sub"}}`, accept), "accept", "in rule 2"},
		{"a goto comes back to the policy", "drop", rules(`{"goto": {"target": "sub"}}`, accept), "drop", "policy"},
		{"a jump to nowhere", "accept", rules(`{"jump": {"target": "none"}}`), "unknown", ""},
		{"return ends a base chain", "drop", rules(`{"return": null}`, accept), "drop", "policy"},
		{"perhaps a return", "accept", rules(limit+`,{"return": null}`, drop), "unknown", ""},
		{"a map", "accept", rules(`{"vmap": {"key": ` + dport + `, "data": {"set": [[22, {"accept": null}], [2379, {"drop": null}]]}}}`), "drop", "vmap"},
		{"a map without the key", "accept", rules(`{"vmap": {"key": `+dport+`, "data": {"set": [[22, {"drop": null}]]}}}`, drop), "drop", "rule 2"},
		{"a map to a chain", "drop", rules(`{"vmap": {"key": `+dport+`, "data": {"set": [[2379, {"jump": {"target": "sub"}}]]}}}`, accept), "accept", "in rule 2"},
		{"a map by what is not known", "accept", rules(`{"vmap": {"key": {"meta": {"key": "mark"}}, "data": {"set": [[1, {"drop": null}]]}}}`), "unknown", ""},
		{"fields together", "accept", rules(match("==", `{"concat": [`+saddr+`,`+dport+`]}`, `{"set": [{"concat": ["10.0.0.1", 2379]}]}`) + "," + drop), "drop", ""},
		{"fields together, one another", "accept", rules(match("==", `{"concat": [`+saddr+`,`+dport+`]}`, `{"set": [{"concat": ["10.0.0.1", 2380]}]}`) + "," + drop), "accept", ""},
		{"masked fields are not known", "accept", rules(match("==", `{"&": [`+saddr+`, "255.0.0.255"]}`, `"10.0.0.1"`) + "," + drop), "unknown", ""},
		{"an address of this host", "accept", rules(match("!=", `{"fib": {"result": "type", "flags": ["daddr"]}}`, `"local"`) + "," + drop), "accept", ""},
		{"tcp by number", "accept", rules(match("==", meta("l4proto"), `6`) + "," + drop), "unknown", ""},
		{"tcp or udp", "accept", rules(match("==", meta("l4proto"), `{"set": ["tcp", "udp"]}`) + "," + drop), "drop", ""},
	}
	packet := Packet{Hook: Input, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.9"), Port: 2379}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := hooked(t, test.policy, test.rules).Decide(packet)
			got := "drop"
			switch {
			case errors.Is(d.Err, ErrUndecided):
				got = "unknown"
			case d.Accept:
				got = "accept"
			}
			if got != test.want || !strings.Contains(d.Rule(), test.rule) || d.Err != nil && d.Accept {
				t.Errorf("got %s by %q, want %s by %q (%v)", got, d.Rule(), test.want, test.rule, d.Err)
			}
		})
	}
}

// Every base chain of the hook has its say, those of other hooks, families and types have not.
func TestDecideTables(t *testing.T) {
	t.Parallel()
	packet := func(hook Hook, src, dst string, port uint16) Packet {
		return Packet{Hook: hook, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Port: port}
	}
	tests := []struct {
		name, dump string
		packet     Packet
		accept     bool
		unknown    bool
		rule       string
	}{
		{"kube-proxy lets a host's port be", "kube-proxy", packet(Input, "10.0.0.12", "10.0.0.11", 2379), true, false, "policy"},
		{"kube-proxy refuses a Service without endpoints", "kube-proxy", packet(Forward, "10.244.0.5", "172.30.0.42", 2379), false, false, "reject-chain"},
		{"kube-proxy refuses another port of a Service", "kube-proxy", packet(Forward, "10.244.0.5", "172.30.0.41", 81), false, false, "@cluster-ips"},
		{"kube-proxy forwards what is translated", "kube-proxy", packet(Forward, "10.244.0.5", "10.0.0.11", 2379), true, false, "policy"},
		{"kube-proxy in nftables mode is of one family", "kube-proxy", packet(Input, "fd00::1", "fd00::2", 31001), true, false, "no rule"},
		{"firewalld refuses what no zone lets in", "firewalld", packet(Input, "10.0.0.12", "10.0.0.11", 2379), false, false, "filter_IN_public rule 4: reject"},
		{"firewalld lets SSH in", "firewalld", packet(Input, "10.0.0.12", "10.0.0.11", 22), true, false, ""},
		{"firewalld asks for the way back before", "firewalld", packet(Prerouting, "fd00::1", "fd00::2", 22), true, false, "policy"},
		{"Docker leaves input alone", "docker", packet(Input, "10.0.0.12", "10.0.0.11", 2379), true, false, "INPUT: policy"},
		{"Docker forwards from its own network", "docker", packet(Forward, "172.17.0.2", "10.0.0.11", 2379), false, true, "docker0"},
		{"Docker forwards no IPv6 here", "docker", packet(Forward, "fd00::1", "fd00::2", 2379), true, false, "no rule"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := dump(t, test.dump).Decide(test.packet)
			if d.Accept != test.accept || (d.Err != nil) != test.unknown || !strings.Contains(d.Rule(), test.rule) {
				t.Errorf("got %+v", d)
			}
		})
	}
	two := &Ruleset{Tables: append(dump(t, "docker").Tables, dump(t, "kube-proxy").Tables...)}
	two.Tables[0].Chains[4].Policy = "drop"
	if d := two.Decide(packet(Input, "10.0.0.12", "10.0.0.11", 2379)); d.Accept || d.Rule() != "ip filter INPUT: policy drop" {
		t.Errorf("got %+v", d)
	}
	two.Tables[0].Dormant = true
	if d := two.Decide(packet(Input, "10.0.0.12", "10.0.0.11", 2379)); !d.Accept {
		t.Errorf("a dormant table decided: %+v", d)
	}
	two.Tables[0].Dormant, two.Tables[0].MaybeDormant = false, true
	if d := two.Decide(packet(Input, "10.0.0.12", "10.0.0.11", 2379)); d.Accept || d.Err == nil || !strings.Contains(d.Err.Error(), "whether the table is dormant") {
		t.Errorf("a table that may be dormant: %+v", d)
	}
	two.Tables[0].Chains[4].Policy = "accept"
	if d := two.Decide(packet(Input, "10.0.0.12", "10.0.0.11", 2379)); !d.Accept {
		t.Errorf("a table that drops nothing, dormant or not: %+v", d)
	}
	two.Tables[0].Dormant, two.Tables[0].MaybeDormant = true, false
	if d := two.Decide(packet(Input, "10.0.0.12", "fd00::1", 2379)); d.Err == nil || d.Accept {
		t.Errorf("a packet of two families: %+v", d)
	}
	if d := two.Decide(packet(Input, "::ffff:10.0.0.12", "10.0.0.11", 2379)); d.Err != nil || !d.Accept {
		t.Errorf("a mapped address: %+v", d)
	}
}

// A dump may say what the kernel never would. It costs no time and is not known.
func TestDecideLoop(t *testing.T) {
	t.Parallel()
	loop := `,{"rule": {"family": "inet", "table": "t", "chain": "sub", "expr": [{"jump": {"target": "sub"}}]}}`
	r := hooked(t, "accept", inputRule(`{"jump": {"target": "sub"}}`)+strings.Repeat(loop, 100))
	r.Tables[0].Chains[1].Rules = r.Tables[0].Chains[1].Rules[2:]
	d := r.Decide(Packet{Hook: Input, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.9"), Port: 1})
	if !errors.Is(d.Err, ErrUndecided) {
		t.Errorf("got %+v", d)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	table := `{"table": {"family": "inet", "name": "t"}}`
	chain := `{"chain": {"family": "inet", "table": "t", "name": "c"}}`
	for _, test := range []struct{ name, text, want string }{
		{"nothing", ``, "EOF"},
		{"another object", `{"a": 1}`, `has no list "nftables"`},
		{"two kinds", `{"nftables": [{"table": {}, "rule": {}}]}`, "object 0: has 2 kinds"},
		{"a chain of no table", `{"nftables": [` + chain + `]}`, "which is not listed before it"},
		{"a rule of no chain", `{"nftables": [` + table + `, {"rule": {"family": "inet", "table": "t", "chain": "c"}}]}`, `rule of chain "c", which is not listed`},
		{"a chain twice", `{"nftables": [` + table + `,` + chain + `,` + chain + `]}`, "listed twice"},
		{"a wrong type", `{"nftables": [` + table + `, {"rule": {"family": 1}}]}`, "object 1: rule"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Parse([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	want := hooked(t, "accept", inputRule(`{"accept": null}`)+inputRule(`{"counter": {"packets": 0}},{"drop": null}`))
	same := hooked(t, "accept", inputRule(`{"accept": null}`)+inputRule(`{"counter": {"packets": 7}},{"drop": null}`))
	if d := Diff(want, same); len(d) > 0 {
		t.Errorf("what was counted is no difference: %v", d)
	}
	// Nor is another way to write the same ports.
	ports := func(set string) *Ruleset {
		return hooked(t, "accept", inputRule(`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": `+set+`}}`))
	}
	if d := Diff(ports(`{"set": [2379, 2380, 2381]}`), ports(`{"range": [2379, 2381]}`)); len(d) > 0 {
		t.Errorf("got %v", d)
	}
	change := func(f func(t *Table)) []string {
		live := hooked(t, "accept", inputRule(`{"accept": null}`)+inputRule(`{"counter": null},{"drop": null}`))
		f(&live.Tables[0])
		var all []string
		for _, d := range Diff(want, live) {
			all = append(all, d.String())
		}
		return all
	}
	accept := Rule{Statements: []Statement{{Verdict: &Verdict{Kind: "accept"}}}}
	for _, test := range []struct {
		name   string
		change func(t *Table)
		want   []string
	}{
		{"no table", func(t *Table) { t.Name = "other" }, []string{"table inet t: missing the whole table"}},
		{"dormant", func(t *Table) { t.Dormant = true }, []string{"table inet t: is dormant, want in force"}},
		{"perhaps dormant", func(t *Table) { t.MaybeDormant = true },
			[]string{"table inet t: is perhaps dormant (nft does not print its flags as JSON; nft list table shows them), want in force"}},
		{"an address more and one less", func(t *Table) { t.Sets[0].Elements[1] = singleElement(Value{Addr: netip.MustParseAddr("10.0.0.4")}) },
			[]string{"set s: missing 10.0.0.3", "set s: extra 10.0.0.4"}},
		{"a set of another type", func(t *Table) { t.Sets[0].Interval = true }, []string{"set s: is of ipv4_addr with ranges, want of ipv4_addr"}},
		{"a set less and one more", func(t *Table) { t.Sets[0].Name = "more" }, []string{"set s: missing the whole set", "set more: extra the whole set"}},
		{"a policy", func(t *Table) { t.Chains[0].Policy = "drop" },
			[]string{`chain in: is "type filter hook input priority 0; policy drop;", want "type filter hook input priority 0; policy accept;"`}},
		{"not hooked", func(t *Table) { t.Chains[0].Hook = "" }, []string{`chain in: is without a hook, want "type filter hook input priority 0; policy accept;"`}},
		{"a rule put in front", func(t *Table) { t.Chains[0].Rules = append([]Rule{accept}, t.Chains[0].Rules...) },
			[]string{"chain in, rule 2: extra accept"}},
		{"a rule less", func(t *Table) { t.Chains[0].Rules = t.Chains[0].Rules[:1] }, []string{"chain in, rule 2: missing counter drop"}},
		{"a rule changed", func(t *Table) { t.Chains[0].Rules[1] = accept }, []string{"chain in, rule 2: is accept, want counter drop"}},
		{"a chain", func(t *Table) { t.Chains = append(t.Chains, Chain{Name: "x"}); t.chains = nil }, []string{"chain x: extra the whole chain"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, change(test.change)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.0-10.0.0.255":       "10.0.0.0/24",
		"10.0.0.1-10.0.0.2":         "10.0.0.1-10.0.0.2",
		"10.0.0.0-10.0.0.2":         "10.0.0.0-10.0.0.2",
		"0.0.0.0-255.255.255.255":   "0.0.0.0/0",
		"fd00::-fd00::ffff":         "fd00::/112",
		"fd00::-fd00::1:ffff":       "fd00::/111",
		"::-ffff:ffff::":            "::-ffff:ffff::",
		"10.0.0.4-10.0.0.7":         "10.0.0.4/30",
		"fd00::1-fd00::1":           "fd00::1",
		"fd00::8000:0-fd00::ffff:0": "fd00::8000:0-fd00::ffff:0",
	} {
		from, to, _ := strings.Cut(text, "-")
		if got := (Range{Value{Addr: netip.MustParseAddr(from)}, Value{Addr: netip.MustParseAddr(to)}}).String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no dumps to start from: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	packets := []Packet{
		{Hook: Input, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Port: 2379},
		{Hook: Forward, Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), Port: 80},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err != nil {
			return
		}
		for _, p := range packets {
			if d := r.Decide(p); d.Err != nil && d.Accept || d.Rule() == "" {
				t.Errorf("got %+v", d)
			}
		}
		tracer := r.Tracer()
		for _, way := range []Way{Receives, Forwards, Sends, Loops} {
			fates := tracer.Follow(Connection{Way: way, Src: packets[0].Src, Dst: packets[0].Dst, Port: 2379})
			for _, f := range fates {
				if f.Err != nil && f.Accept || f.Rule() == "" {
					t.Errorf("got %+v", f)
				}
			}
			if len(fates) == 0 {
				t.Error("a connection has no fate")
			}
		}
		if d := Diff(r, r); len(d) > 0 && !twice(r) {
			t.Errorf("differs from itself: %v", d)
		}
		if a, b := r.Text(), r.Text(); string(a) != string(b) {
			t.Error("two texts of one ruleset")
		}
	})
}

// twice says whether a name is there twice, which the kernel never lists.
func twice(r *Ruleset) bool {
	seen := map[string]bool{}
	for _, table := range r.Tables {
		name := table.Family + " " + table.Name
		for _, s := range table.Sets {
			if seen[name+" "+s.Name] {
				return true
			}
			seen[name+" "+s.Name] = true
		}
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

func TestOne(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a": 1}`: `a=1`, ` { "a" : {"b": [1, 2], "c": "x,}"} } `: `a={"b": [1, 2], "c": "x,}"}`, `{"accept": null}`: "accept=null",
		`{}`: "", `{"a": 1, "b": 2}`: "", `[1]`: "", `"a"`: "", `null`: "", `7`: "", `{"a": "\",", "b": 1}`: "", `{"a": "\","}`: `a="\","`, `{"\u0061": 1}`: "",
	} {
		key, value, ok := parseSingle([]byte(text))
		if got := key + "=" + string(value); ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %s, %t", text, got, ok)
		}
	}
}

// nft 1.0.6 prints the name of the table or its own release in place of the flags of a table.
func TestTableFlags(t *testing.T) {
	t.Parallel()
	for flags, want := range map[string]string{
		``:                                "in force",
		`, "flags": "dormant"`:            "dormant",
		`, "flags": ["dormant"]`:          "dormant",
		`, "flags": "owner"`:              "in force",
		`, "flags": ["owner", "persist"]`: "in force",
		`, "flags": "t"`:                  "perhaps dormant",
		`, "flags": "Lester Gooch #5"`:    "perhaps dormant",
		`, "flags": ["owner", "t"]`:       "perhaps dormant",
		`, "flags": 1`:                    "perhaps dormant",
		`, "flags": null`:                 "perhaps dormant",
	} {
		r, err := Parse([]byte(`{"nftables": [{"table": {"family": "inet", "name": "t", "handle": 1` + flags + `}}]}`))
		if err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		if got := describeState(&r.Tables[0]); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", flags, got, want)
		}
	}
}
