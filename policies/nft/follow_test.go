package nft

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// base chains of one rule each, in nft's JSON.
func chains(t *testing.T, each ...string) *Ruleset {
	t.Helper()
	var b strings.Builder
	for n, text := range each {
		// family, type, hook, priority, expressions
		f := strings.SplitN(text, " ", 5)
		policy := "accept"
		if rest, ok := strings.CutPrefix(f[4], "policy drop "); ok {
			policy, f[4] = "drop", rest
		}
		hook, dev, _ := strings.Cut(f[2], "@")
		if dev != "" {
			dev = `, "dev": "` + dev + `"`
		}
		fmt.Fprintf(&b, `{"table": {"family": %q, "name": "t%d"}}, {"chain": {"family": %[1]q, "table": "t%[2]d", "name": "c", "type": %[3]q, "hook": %[4]q, "prio": %[5]s, "policy": %[6]q%[7]s}},
			{"rule": {"family": %[1]q, "table": "t%[2]d", "chain": "c", "expr": [%[8]s]}},`, f[0], n, f[1], hook, f[3], policy, dev, f[4])
	}
	text := `{"nftables": [` + strings.TrimSuffix(b.String(), ",") + `]}`
	if !json.Valid([]byte(text)) {
		t.Fatal(text)
	}
	r, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each hook that a connection passes may stop it, in both directions, and no other hook may.
func TestFollow(t *testing.T) {
	t.Parallel()
	match := func(op, left, right string) string {
		return `{"match": {"op": "` + op + `", "left": ` + left + `, "right": ` + right + `}},`
	}
	field := func(protocol, name string) string {
		return `{"payload": {"protocol": "` + protocol + `", "field": "` + name + `"}}`
	}
	const notrack = `{"notrack": null}`
	mangle := func(protocol, name, to string) string {
		return `{"mangle": {"key": ` + field(protocol, name) + `, "value": ` + to + `}},`
	}
	flags := func(mask string) string { return `{"&": [` + field("tcp", "flags") + `, [` + mask + `]]}` }
	const drop, accept = `{"drop": null}`, `{"accept": null}`
	ct := func(key string) string { return `{"ct": {"key": "` + key + `"}}` }
	dport, sport := match("==", field("tcp", "dport"), "2379"), match("==", field("tcp", "sport"), "2379")
	from := func(a string) string { return match("==", field("ip", "saddr"), `"`+a+`"`) }
	to := func(a string) string { return match("==", field("ip", "daddr"), `"`+a+`"`) }
	dnat := func(to string) string { return `{"dnat": {` + to + `}}` }
	all := func(of string) string {
		return `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}},` + of
	}
	tests := []struct {
		name   string
		way    Way
		chains []string
		want   string // of each fate: accept, drop or unknown; then where it goes, if elsewhere
	}{
		{"nothing", Receives, []string{"inet filter forward 0 " + drop}, "accept"},
		{"raw", Receives, []string{"ip filter prerouting -300 " + dport + drop}, "drop"},
		{"mangle", Receives, []string{"inet filter prerouting -150 " + from("10.0.0.12") + drop}, "drop"},
		{"prerouting after NAT", Receives, []string{"ip filter prerouting 0 " + dport + drop}, "drop"},
		{"input of mangle", Receives, []string{"ip filter input -150 " + dport + drop}, "drop"},
		{"a chain of type nat", Receives, []string{"ip nat prerouting -100 " + dport + drop}, "drop"},
		{"a chain of type nat at input", Receives, []string{"ip nat input 100 " + dport + drop}, "drop"},
		{"of the other family", Receives, []string{"ip6 filter prerouting -300 " + drop}, "accept"},
		{"answers at output", Receives, []string{"inet filter output 0 " + sport + drop}, "drop"},
		{"answers at postrouting", Receives, []string{"inet filter postrouting -150 " + to("10.0.0.12") + drop}, "drop"},
		{"answers to no client's port", Receives, []string{"inet filter output 0 " + dport + drop}, "accept"},
		{"answers to every client's port", Receives, []string{"inet filter output 0 policy drop " + match("==", field("tcp", "dport"), `{"range": [1024, 65535]}`) + accept}, "accept"},
		{"the first packet alone", Receives, []string{"inet filter input 0 policy drop " + match("in", ct("state"), `"new"`) + accept}, "drop"},
		{"all packets of it", Receives, []string{"inet filter input 0 policy drop " + match("in", ct("state"), `["new", "established"]`) + accept}, "accept"},
		{"what was not tracked", Receives, []string{"ip filter prerouting -300 " + dport + `{"notrack": null}`, "inet filter input 0 policy drop " + match("in", ct("state"), `["new", "established"]`) + accept}, "unknown"},
		{"a device", Receives, []string{"netdev filter ingress@eth0 0 " + from("10.0.0.12") + drop}, "unknown"},
		{"a device, of family inet", Receives, []string{"inet filter ingress@eth0 0 " + from("10.0.0.12") + drop}, "unknown"},
		{"a device that others send from", Receives, []string{"netdev filter ingress@eth0 0 " + from("10.0.0.13") + drop}, "accept"},
		{"the device lo", Receives, []string{"netdev filter ingress@lo 0 " + drop}, "accept"},
		{"a device on the way back", Receives, []string{"netdev filter egress@eth0 0 " + sport + drop}, "unknown"},
		{"a bridge", Receives, []string{"bridge filter prerouting 0 " + dport + drop}, "unknown"},
		{"a bridge, sure of another port", Receives, []string{"bridge filter input 0 " + match("==", field("tcp", "dport"), "22") + drop}, "accept"},
		{"ARP", Receives, []string{"arp filter input 0 " + match("==", field("arp", "saddr ip"), `"10.0.0.12"`) + drop}, "unknown"},
		{"ARP of another", Receives, []string{"arp filter input 0 " + match("==", field("arp", "saddr ip"), `"10.0.0.77"`) + drop}, "accept"},

		{"flags that stand together nowhere", Receives, []string{"inet filter prerouting -300 " + match("==", flags(`"fin", "syn"`), `["fin", "syn"]`) + drop}, "accept"},
		{"the same, as newer releases of nft write it", Receives, []string{"inet filter prerouting -300 " + match("==", `{"&": [`+field("tcp", "flags")+`, {"|": [{"|": ["syn", "rst"]}, "fin"]}]}`, `{"|": ["syn", "rst"]}`) + drop}, "accept"},
		{"some flags under more", Receives, []string{"inet filter prerouting -300 " + match("==", flags(`"fin", "syn", "rst", "psh", "ack", "urg"`), `["fin", "psh", "urg"]`) + drop}, "accept"},
		{"no flags", Receives, []string{"inet filter prerouting -300 " + match("!", field("tcp", "flags"), `["fin", "syn", "rst", "psh", "ack", "urg"]`) + drop}, "accept"},
		{"no flags under a mask", Receives, []string{"inet filter prerouting -300 " + match("==", flags(`"fin", "syn", "ack"`), `0`) + drop}, "accept"},
		{"the flags of the first packet", Receives, []string{"inet filter prerouting -300 " + match("==", flags(`"fin", "syn", "rst", "ack"`), `"syn"`) + drop}, "drop"},
		{"every flag but its own", Receives, []string{"inet filter input 0 " + match("!=", flags(`"fin", "syn", "rst", "ack"`), `"syn"`) + match("in", ct("state"), `"new"`) + drop}, "accept"},
		{"the flags of the first answer", Receives, []string{"inet filter output 0 " + match("==", flags(`"syn", "ack"`), `["syn", "ack"]`) + sport + drop}, "unknown"},
		{"a flag of every answer", Receives, []string{"inet filter output 0 " + match("in", field("tcp", "flags"), `"ack"`) + sport + drop}, "drop"},
		{"flags of ECN", Receives, []string{"inet filter input 0 " + match("in", field("tcp", "flags"), `["ecn", "cwr"]`) + drop}, "unknown"},
		{"a set of flags", Receives, []string{"inet filter input 0 " + match("==", field("tcp", "flags"), `{"set": ["syn", ["syn", "ack"]]}`) + drop}, "unknown"},
		{"a route back by an interface", Receives, []string{"inet filter prerouting -300 " + match("!=", `{"fib": {"result": "oifname", "flags": ["saddr", "iif"]}}`, `"eth0"`) + drop}, "unknown"},
		{"no route back", Receives, []string{"inet filter prerouting -300 " + match("==", `{"fib": {"result": "oif", "flags": ["saddr", "iif"]}}`, `false`) + drop}, "accept"},

		{"to a container, without state", Receives, []string{"ip filter prerouting -300 " + dport + mangle("ip", "daddr", `"172.17.0.2"`) + notrack, "inet filter input 0 " + dport + drop}, "unknown"},
		{"from another port, without state", Receives, []string{"ip filter prerouting -300 " + match("==", field("tcp", "dport"), "9") + mangle("tcp", "dport", "2379") + notrack}, "accept"},
		{"of the other family, without state", Receives, []string{"inet filter prerouting -300 " + mangle("ip6", "daddr", `"fd00::1"`) + notrack}, "accept"},
		{"dropped before it is rewritten", Receives, []string{"ip filter prerouting -310 " + dport + drop, "ip filter prerouting -300 " + mangle("ip", "daddr", `"172.17.0.2"`) + notrack}, "drop"},
		{"some bytes of it", Receives, []string{"ip filter prerouting -300 " + `{"mangle": {"key": {"payload": {"base": "nh", "offset": 128, "len": 32}}, "value": 1}}`, "inet filter input 0 " + dport + drop}, "unknown"},
		{"another class", Receives, []string{"ip filter prerouting -300 " + mangle("ip", "dscp", `"cs1"`) + drop}, "drop"},
		{"its answers, without state", Receives, []string{"ip filter postrouting -300 " + sport + mangle("ip", "saddr", `"10.0.0.9"`) + notrack}, "unknown"},
		{"it goes out, without state", Sends, []string{"ip filter postrouting -300 " + dport + mangle("ip", "daddr", `"10.0.0.9"`) + notrack, "inet filter postrouting 200 " + dport + drop}, "unknown"},

		{"output", Sends, []string{"inet filter output 0 " + dport + drop}, "drop"},
		{"output of type route", Sends, []string{"ip route output -150 " + dport + drop}, "drop"},
		{"output sees where it goes", Sends, []string{"inet filter output 0 " + match("==", `{"fib": {"result": "type", "flags": ["daddr"]}}`, `"local"`) + drop}, "accept"},
		{"output sees where it comes from", Sends, []string{"inet filter output 0 " + match("!=", `{"fib": {"result": "type", "flags": ["saddr"]}}`, `"local"`) + drop}, "accept"},
		{"postrouting", Sends, []string{"inet filter postrouting 0 " + dport + drop}, "drop"},
		{"postrouting after NAT", Sends, []string{"inet filter postrouting 200 " + dport + drop}, "drop"},
		{"its answers at input", Sends, []string{"inet filter input 0 " + sport + drop}, "drop"},
		{"its answers at prerouting", Sends, []string{"ip filter prerouting -300 " + from("10.0.0.11") + drop}, "drop"},
		{"egress", Sends, []string{"netdev filter egress@eth0 0 " + dport + drop}, "unknown"},
		{"not forward", Sends, []string{"inet filter forward 0 " + drop}, "accept"},

		{"forward", Forwards, []string{"inet filter forward 0 " + dport + drop}, "drop"},
		{"answers through forward", Forwards, []string{"inet filter forward 0 " + sport + drop}, "drop"},
		{"forward of established alone", Forwards, []string{"inet filter forward 0 policy drop " + match("in", ct("state"), `"established"`) + accept}, "drop"},
		{"prerouting before forward", Forwards, []string{"ip filter prerouting -300 " + dport + drop}, "drop"},
		{"postrouting after forward", Forwards, []string{"ip filter postrouting 0 " + dport + drop}, "drop"},
		{"a bridge between", Forwards, []string{"bridge filter forward 0 " + dport + drop}, "unknown"},
		{"neither input nor output", Forwards, []string{"inet filter input 0 " + drop, "inet filter output 0 " + drop}, "accept"},

		{"loopback passes output", Loops, []string{"inet filter output 0 " + dport + drop}, "drop"},
		{"loopback passes prerouting", Loops, []string{"inet filter prerouting 0 " + dport + drop}, "drop"},
		{"loopback passes input", Loops, []string{"inet filter input 0 " + match("==", `{"meta": {"key": "iifname"}}`, `"lo"`) + drop}, "drop"},
		{"loopback passes lo", Loops, []string{"netdev filter ingress@lo 0 " + dport + drop}, "drop"},
		{"loopback passes no other device", Loops, []string{"netdev filter ingress@eth0 0 " + dport + drop}, "accept"},
		{"loopback is not translated twice", Loops, []string{"ip nat prerouting -100 " + dport + dnat(`"port": 9`)}, "accept"},

		{"to a container", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": "172.17.0.2", "port": 2379`), "inet filter input 0 " + drop}, "accept forwards 172.17.0.2:2379"},
		{"to a container, forward sees the new one", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": "172.17.0.2"`), "inet filter forward 0 " + to("172.17.0.2") + drop}, "drop forwards 172.17.0.2:2379"},
		{"raw sees the old one", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": "172.17.0.2"`), "ip filter prerouting -300 " + to("172.17.0.2") + drop}, "accept forwards 172.17.0.2:2379"},
		{"prerouting sees the new one", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": "172.17.0.2"`), "ip filter prerouting -50 " + to("172.17.0.2") + drop}, "drop receives 172.17.0.2:2379"},
		{"whatever the priority of the chain says", Receives, []string{"ip nat prerouting 50 " + dport + dnat(`"addr": "172.17.0.2"`), "ip filter prerouting 0 " + to("172.17.0.2") + drop}, "drop receives 172.17.0.2:2379"},
		{"its status is DNAT", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": "172.17.0.2"`), "inet filter forward 0 policy drop " + match("in", ct("status"), `"dnat"`) + accept}, "accept forwards 172.17.0.2:2379"},
		{"to another port here", Receives, []string{"ip nat prerouting -100 " + dport + `{"redirect": {"port": 12379}}`, "inet filter input 0 " + dport + drop}, "accept receives 10.0.0.11:12379"},
		{"to another address here", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": "10.0.1.11"`)}, "accept receives 10.0.1.11:2379"},
		{"to loopback", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": "127.0.0.1"`), "inet filter input 0 " + to("127.0.0.1") + drop}, "drop receives 127.0.0.1:2379"},
		{"to an address that is not listed", Receives, []string{"ip nat prerouting -100 " + dport + `{"xt": {"type": "target", "name": "DNAT"}}`}, "unknown"},
		{"to one of many", Receives, []string{"ip nat prerouting -100 " + dport + dnat(`"addr": {"range": ["10.0.0.1", "10.0.0.9"]}`)}, "unknown"},
		{"perhaps elsewhere", Receives, []string{"ip nat prerouting -100 " + all(dnat(`"addr": "172.17.0.2"`))}, "accept forwards 172.17.0.2:2379, accept"},
		{"of the other family, no", Receives, []string{"inet nat prerouting -100 " + dnat(`"addr": "fd00::1"`)}, "accept"},
		{"of another port, no", Receives, []string{"ip nat prerouting -100 " + match("==", field("tcp", "dport"), "80") + `{"xt": {"type": "target", "name": "DNAT"}}`}, "accept"},
		{"a socket of a proxy", Receives, []string{"ip filter prerouting -150 " + dport + `{"tproxy": {"port": 9}}`}, "unknown"},
		{"sent elsewhere", Sends, []string{"ip nat output -100 " + dport + dnat(`"addr": "10.0.0.77"`)}, "accept sends 10.0.0.77:2379"},
		{"sent back", Sends, []string{"ip nat output -100 " + dport + `{"redirect": null}`, "inet filter input 0 " + to("127.0.0.1") + drop}, "drop loops 127.0.0.1:2379"},
		{"masqueraded", Sends, []string{"ip nat postrouting 100 " + dport + `{"masquerade": null}`}, "accept masqueraded"},
		{"from another address", Sends, []string{"ip nat postrouting 100 " + dport + `{"snat": {"addr": "10.0.0.99"}}`}, "accept from 10.0.0.99"},
		{"from an address that is not listed", Sends, []string{"ip nat postrouting 100 " + dport + `{"xt": {"type": "target", "name": "SNAT"}}`}, "unknown"},
	}
	ways := map[Way]string{Receives: "receives", Forwards: "forwards", Sends: "sends", Loops: "loops"}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := Connection{
				Way: test.way, Src: netip.MustParseAddr("10.0.0.12"), Dst: netip.MustParseAddr("10.0.0.11"), Port: 2379,
				IsLocal: func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.1.11") },
			}
			r := chains(t, test.chains...)
			var got []string
			for _, f := range r.Tracer().Follow(c) {
				word := "drop"
				switch {
				case f.Err != nil:
					word = "unknown"
				case f.Accept:
					word = "accept"
				}
				if f.IsTranslated() && f.Err == nil {
					word += " " + ways[f.Way] + " " + netip.AddrPortFrom(f.Dst, f.Port).String()
				}
				if f.Masqueraded {
					word += " masqueraded"
				}
				if f.Src != c.Src {
					word += " from " + f.Src.String()
				}
				got = append(got, word)
				if f.Err != nil && f.Accept || f.By == (Source{}) {
					t.Errorf("%+v", f)
				}
			}
			if text := strings.Join(got, ", "); text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
		})
	}
}
