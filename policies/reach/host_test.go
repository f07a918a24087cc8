package reach

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// hostRules reads what nft lists on a host with some software.
func hostRules(t *testing.T, name string) *nft.Ruleset {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "nft", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return parseRules(t, string(data))
}

// savedRules adds to a ruleset what iptables-save prints on the same host.
func savedRules(t *testing.T, r *nft.Ruleset, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "nft", "testdata", name+".rules"))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := nft.ParseIptables(text)
	if err == nil {
		err = r.Join(saved)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func parseRules(t *testing.T, text string) *nft.Ruleset {
	t.Helper()
	r, err := nft.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// baseChain is a base chain with one rule, in nft's JSON. The fields are family, type, hook, priority and
// policy.
func baseChain(fields, rule string) string {
	f := strings.Fields(fields)
	name := strings.Join(f[:3], "-")
	return `{"table": {"family": "` + f[0] + `", "name": "` + name + `"}},
		{"chain": {"family": "` + f[0] + `", "table": "` + name + `", "name": "c", "type": "` + f[1] + `", "hook": "` + f[2] + `", "prio": ` + f[3] + `, "policy": "` + f[4] + `"}},
		{"rule": {"family": "` + f[0] + `", "table": "` + name + `", "chain": "c", "expr": [` + rule + `]}}`
}

func ruleset(t *testing.T, each ...string) *nft.Ruleset {
	t.Helper()
	return parseRules(t, `{"nftables": [`+strings.Join(each, ",")+`]}`)
}

// proveRules proves for a cluster whose hosts all have the rules.
func proveRules(t *testing.T, rules ...*nft.Ruleset) Proof {
	t.Helper()
	i := intent(t, "static-pod", masquerade)
	all := &nft.Ruleset{}
	for _, r := range rules {
		all.Tables = append(all.Tables, r.Tables...)
	}
	return Prove(i, NewTopology(i, objects(t)), policies.Filters{Rules: all}, audit.Place{})
}

// What other software writes into the packet filter of a host, alone and beside the rules of the spec.
func TestRulesetsOfHosts(t *testing.T) {
	t.Parallel()
	own := policies.Nftables(intent(t, "static-pod", masquerade))
	const everything, isolated = "client-port-isolated metrics-port-isolated peer-port-isolated", ""
	tests := []struct {
		name    string
		own     bool
		broken  string
		flows   map[string]string // to etcd-0, by sender
		unknown string            // part of a reason
	}{
		{"docker", false, everything, map[string]string{"etcd-1": "+++", "outside (IPv4)": "+++", "a Pod on cp-1": "???"}, "docker0"},
		{"docker", true, isolated, map[string]string{"etcd-1": "++-", "10.0.0.40": "--+", "outside (IPv4)": "---", "a Pod on cp-1": "---"}, ""},
		// Its rules let everybody in past the rules of the spec, which are those of hook input.
		{"docker-published", false, "metrics-port-isolated peer-port-isolated", map[string]string{"outside (IPv4)": "?++", "etcd-1": "?++"}, `xt target "DNAT", of which nft lists no parameters: give the output of iptables-save as well`},
		{"docker-published", true, isolated, map[string]string{"outside (IPv4)": "?--", "etcd-1": "?+-"}, `xt target "DNAT"`},
		{"docker-bridges", true, isolated, map[string]string{"outside (IPv4)": "?--", "etcd-1": "?+-"}, "dnat to 172.17.0.2:2379"},
		{"firewalld", false, "api-servers-reach members-reach-client peers-reachable scrapers-reach", map[string]string{"etcd-1": "---", "outside (IPv4)": "---"}, ""},
		{"kube-proxy", false, everything, map[string]string{"etcd-1": "+++", "outside (IPv4)": "+++", "a Pod on cp-1": "+++"}, ""},
		{"kube-proxy", true, isolated, map[string]string{"etcd-1": "++-", "outside (IPv4)": "---", "a Pod on cp-1": "---"}, ""},
		{"kube-proxy-iptables", false, everything, map[string]string{"etcd-1": "+++", "outside (IPv4)": "+++", "a Pod on cp-1": "???"}, `xt match "conntrack"`},
		{"kube-proxy-iptables", true, isolated, map[string]string{"etcd-1": "++-", "10.0.0.40": "--+", "outside (IPv4)": "---", "a Pod on cp-1": "---"}, ""},
		// What its sets hold, nft does not list.
		{"kube-proxy-ipvs", true, isolated, map[string]string{"etcd-1": "??-", "outside (IPv4)": "---", "a Pod on cp-1": "---"}, `KUBE-IPVS-FILTER rule 1: xt match "set"`},
		// Whether "ufw-not-local" drops is in a parameter.
		{"ufw", false, "", map[string]string{"etcd-1": "???", "outside (IPv4)": "???", "a Pod on cp-1": "---"}, `xt match "conntrack"`},
		{"ufw", true, isolated, map[string]string{"etcd-1": "??-", "outside (IPv4)": "---"}, `xt match "conntrack"`},
		// What iptables-save prints besides has the parameters.
		{"docker-published saved", true, isolated, map[string]string{"outside (IPv4)": "?--", "etcd-1": "?+-"}, "sends it to 172.17.0.2:2379, and nothing tells whether a member listens there"},
		{"kube-proxy-iptables saved", false, everything, map[string]string{"etcd-1": "+++", "outside (IPv4)": "+++", "a Pod on cp-1": "+++"}, ""},
		{"kube-proxy-iptables saved", true, isolated, map[string]string{"etcd-1": "++-", "outside (IPv4)": "---", "a Pod on cp-1": "---"}, ""},
		{"kube-proxy-ipvs saved", true, isolated, map[string]string{"etcd-1": "??-", "outside (IPv4)": "---"}, `-m set --match-set KUBE-LOAD-BALANCER dst,dst`},
		{"ufw saved", false, everything, map[string]string{"etcd-1": "+++", "outside (IPv4)": "---", "a Pod on cp-1": "---"}, ""},
		{"ufw saved", true, isolated, map[string]string{"etcd-1": "++-", "outside (IPv4)": "---"}, ""},
	}
	for _, test := range tests {
		name, isSaved := strings.CutSuffix(test.name, " saved")
		title := test.name
		if test.own {
			title += " beside the rules of the spec"
		}
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			rules := []*nft.Ruleset{hostRules(t, name)}
			if isSaved {
				savedRules(t, rules[0], name)
			}
			if test.own {
				rules = append(rules, own)
			}
			p := proveRules(t, rules...)
			if got := strings.Join(violated(p), " "); got != test.broken || p.Holds != (got == "" && test.unknown == "") {
				t.Errorf("violated %q, holds %t; want %q", got, p.Holds, test.broken)
			}
			for from, want := range test.flows {
				if got := outcomes(p, from, "etcd-0"); got != want {
					t.Errorf("%s: %s, want %s", from, got, want)
				}
			}
			if (len(p.Unknown) > 0) != (test.unknown != "") || test.unknown != "" && !slices.ContainsFunc(p.Unknown, func(s string) bool { return strings.Contains(s, test.unknown) }) {
				t.Errorf("unknown %q, want %q", p.Unknown, test.unknown)
			}
			dumpOnFailure(t, p)
		})
	}
}

// An allow-list at any hook of a packet is one, and a drop at any hook stops the members.
func TestEveryHook(t *testing.T) {
	t.Parallel()
	const ports = `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"range": [2379, 2381]}}},`
	const member = `{"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 27}}}},`
	const answers = `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "sport"}}, "right": 2380}},`
	const drop = `{"drop": null}`
	for _, test := range []struct {
		name, chain, rule    string
		etcd1, outside, host string // to etcd-0: of a member, of somebody outside, of the host itself
	}{
		{"an allow-list in raw", "ip filter prerouting -300 accept", ports + member + drop, "+++", "---", "+++"},
		{"an allow-list in mangle", "inet filter prerouting -150 accept", ports + member + drop, "+++", "---", "+++"},
		{"an allow-list at input of mangle", "ip filter input -150 accept", ports + member + drop, "+++", "---", "+++"},
		{"a drop in raw", "ip filter prerouting -300 accept", ports + drop, "---", "---", "---"},
		{"a drop in a chain of type nat", "ip nat prerouting -100 accept", ports + drop, "---", "---", "+++"},
		{"a drop of what goes out", "ip filter output 0 accept", ports + drop, "---", "+++", "---"},
		{"a drop of what goes out, at postrouting", "ip filter postrouting 0 accept", ports + drop, "---", "+++", "---"},
		{"a drop of answers", "inet filter output 0 accept", answers + drop, "+-+", "+-+", "+-+"},
		{"a drop of answers that come in", "inet filter input 0 accept", answers + drop, "+-+", "+++", "+-+"},
		{"a drop of what is forwarded", "inet filter forward 0 accept", ports + drop, "+++", "+++", "+++"},
		{"a drop at a device", "netdev filter ingress 0 accept", ports + drop, "???", "???", "???"},
		{"a drop at a bridge", "bridge filter input 0 accept", ports + drop, "???", "???", "+++"},
		{"a drop of IPv6", "ip6 filter prerouting -300 accept", drop, "+++", "+++", "+++"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := proveRules(t, ruleset(t, baseChain(test.chain, test.rule)))
			for from, want := range map[string]string{"etcd-1": test.etcd1, "outside (IPv4)": test.outside, "etcd-0": test.host} {
				if got := outcomes(p, from, "etcd-0"); got != want {
					t.Errorf("%s: %s, want %s", from, got, want)
				}
			}
			dumpOnFailure(t, p)
		})
	}
}

// What a host gives another destination passes the input hook by.
func TestTranslation(t *testing.T) {
	t.Parallel()
	own := policies.Nftables(intent(t, "static-pod", masquerade))
	const client = `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 2379}},`
	const local = `{"match": {"op": "==", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"}},`
	const toContainer = `{"dnat": {"addr": "172.17.0.2", "port": 2379}}`
	for _, test := range []struct {
		name, chain, rule string
		outside, etcd1    string
		by                string // how the stranger gets in, or why nothing tells
	}{
		{"to a container", "ip nat prerouting -100 accept", local + client + toContainer, "+--", "?+-", "gives"},
		{"to a container, from one network", "ip nat prerouting -100 accept", `{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.9.0.0", "len": 16}}}},` + client + toContainer, "---", "++-", ""},
		{"to another port of the host", "ip nat prerouting -100 accept", client + `{"redirect": {"port": 12379}}`, "+--", "?+-", "redirect to :12379"},
		{"to the same port of the host", "ip nat prerouting -100 accept", client + `{"redirect": {"port": 2379}}`, "---", "?+-", ""},
		{"to where nft does not say", "ip nat prerouting -100 accept", client + `{"xt": {"type": "target", "name": "DNAT"}}`, "?--", "?+-", "DNAT"},
		{"without state", "ip filter prerouting -300 accept", client + `{"mangle": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "value": "172.17.0.2"}}, {"notrack": null}`, "?--", "?+-", "daddr"},
		{"of what members send", "ip nat output -100 accept", client + `{"dnat": {"addr": "10.0.0.99"}}`, "---", "?+-", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := proveRules(t, own, ruleset(t, baseChain(test.chain, test.rule)))
			for from, want := range map[string]string{"etcd-1": test.etcd1, "outside (IPv4)": test.outside} {
				if got := outcomes(p, from, "etcd-0"); got != want {
					t.Errorf("%s: %s, want %s", from, got, want)
				}
			}
			if got := slices.Contains(violated(p), ClientIsolated); got != (test.outside[0] == '+') {
				t.Errorf("violated: %q", violated(p))
			}
			for _, v := range p.Violations {
				if v.Invariant == ClientIsolated && v.FromClass == ClassOutside && !strings.Contains(v.FixText, "another destination") {
					t.Errorf("fix %q", v.FixText)
				}
			}
			dumpOnFailure(t, p)
		})
	}
}

// What another port or another node leads to a member is not reached by a list that looks at the member's
// own port before it is translated, or at the address of that node.
func TestDetour(t *testing.T) {
	t.Parallel()
	i := intent(t, "static-pod", masquerade)
	own := policies.Nftables(i)
	const port = `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 32379}},`
	const stranger = `{"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 24}}}},`
	const ports = `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"range": [2379, 2381]}}},`
	list := baseChain("ip filter prerouting -300 accept", ports+stranger+`{"drop": null}`)
	toMember := baseChain("ip nat prerouting -100 accept", port+`{"dnat": {"addr": "10.0.0.11", "port": 2379}}`)
	masqueraded := baseChain("ip nat postrouting 100 accept", `{"masquerade": null}`)
	for _, test := range []struct {
		name          string
		member, other *nft.Ruleset
		want          string // of somebody outside, to etcd-0
	}{
		{"a list before the translation", ruleset(t, list), own, "---"},
		{"another port of the host", ruleset(t, list, baseChain("ip nat prerouting -100 accept", port+`{"redirect": {"port": 2379}}`)), own, "?--"},
		{"another port of the host, without state", ruleset(t, list, baseChain("ip filter prerouting -290 accept", port+`{"mangle": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "value": 2379}}, {"notrack": null}`)), own, "???"},
		{"another port of the host, and a list after it", &nft.Ruleset{Tables: slices.Concat(own.Tables, ruleset(t, list, toMember).Tables)}, own, "---"},
		{"a port of another member's host", own, ruleset(t, toMember, masqueraded), "?--"},
		{"a port of another member's host, not masqueraded", own, ruleset(t, toMember), "---"},
		{"a port of another member's host, which drops it", own, &nft.Ruleset{Tables: slices.Concat(own.Tables, ruleset(t, toMember, masqueraded).Tables)}, "---"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := Prove(i, NewTopology(i, objects(t)), policies.Filters{NodeRules: []policies.NodeRules{
				{Node: "cp-0", Rules: test.member}, {Node: "cp-1", Rules: test.other}, {Node: "cp-2", Rules: own},
			}}, audit.Place{})
			if got := outcomes(p, "outside (IPv4)", "etcd-0"); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			dumpOnFailure(t, p)
		})
	}
}

// The address from which others see a packet is that of the rules, where these are sure.
func TestSourceTranslation(t *testing.T) {
	t.Parallel()
	i := intent(t, "static-pod", "podCIDRs: [10.244.0.0/16], podAddresses: routed")
	for rule, want := range map[string]string{
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.244.0.0", "len": 16}}}}, {"masquerade": null}`:            "10.0.0.12",
		`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.244.0.0", "len": 16}}}}, {"snat": {"addr": "10.0.0.12"}}`: "10.0.0.12",
		`{"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "eth0"}}, {"masquerade": null}`:                                                                        "10.244.0.1",
	} {
		p := Prove(i, NewTopology(i, objects(t)), policies.Filters{NodeRules: []policies.NodeRules{
			{Node: "cp-0", Rules: policies.Nftables(i)}, {Node: "cp-2", Rules: policies.Nftables(i)},
			{Node: "cp-1", Rules: ruleset(t, baseChain("ip nat postrouting 100 accept", rule))},
		}}, audit.Place{})
		for _, f := range p.Flows {
			if f.From == "a Pod on cp-1" && f.To == "etcd-0" && (f.SeenAs.String() != want || f.Allowed != (want == "10.0.0.12" && f.Port != 2381)) {
				t.Errorf("%s: seen as %s, allowed %t at %d; want %s", rule, f.SeenAs, f.Allowed, f.Port, want)
			}
		}
		dumpOnFailure(t, p)
	}
}
