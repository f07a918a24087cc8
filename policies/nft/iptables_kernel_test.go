package nft

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/internal/netns"
)

// runIptables runs a program of iptables, in a namespace of the test.
func runIptables(t *testing.T, stdin, name string, args ...string) (out []byte, err error) {
	t.Helper()
	path, err := netns.Tool(name)
	if err != nil {
		t.Skipf("%s is not installed: %v", name, err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...) //nolint:gosec // a program of iptables, in a namespace of the test
	cmd.Stdin = strings.NewReader(stdin)
	return cmd.Output()
}

func (g generator) savedMatch(family string) string {
	not := g.pick("", "", "! ")
	low, high := "10.99.0.2", "10.99.0.3"
	if family == "ip6" {
		low, high = "fd99::2", "fd99::3"
	}
	switch g.IntN(9) {
	case 0, 1:
		return not + "-" + g.pick("s ", "d ") + g.addr(family)
	case 2:
		return "-p tcp -m tcp " + not + "--dport " + g.pick(g.port(), "2380:2381", ":2380")
	case 3:
		return "-p tcp -m multiport " + not + "--dports " + g.pick("2379,2381", g.port()+",2380:2381")
	case 4:
		return "-m conntrack " + not + "--ctstate " + g.pick("NEW", "RELATED,ESTABLISHED", "INVALID,DNAT", "NEW,SNAT", "RELATED,ESTABLISHED,DNAT")
	case 5:
		return "-m addrtype " + not + g.pick("--dst-type LOCAL", "--dst-type BROADCAST,MULTICAST", "--dst-type UNICAST")
	case 6:
		return "-m iprange " + not + "--" + g.pick("src", "dst") + "-range " + low + "-" + high
	case 7:
		return "-p tcp -m tcp " + not + "--tcp-flags " + g.pick("SYN,RST SYN", "FIN,SYN,RST,ACK SYN", "SYN,FIN SYN,FIN", "FIN,SYN,RST,PSH,ACK,URG NONE")
	}
	return g.pick("-i lo", "! -i lo", "-i eth7", `-m comment --comment "a -j \"quoted\" one"`, "-p udp -m udp --dport 2379", "! -p udp", "-m state --state NEW", "-p tcp -m tcp --sport 1024:65535")
}

// savedRules returns rules in the form of iptables-save, in which only the first packet of a connection is
// judged.
func (g generator) savedRules(family string) string {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	for chain := range 4 {
		fmt.Fprintf(&b, ":c%d - [0:0]\n", chain)
	}
	b.WriteString(":refuse - [0:0]\n-A refuse -p tcp -j REJECT --reject-with tcp-reset\n")
	b.WriteString("-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j c0\n")
	for chain := range 4 {
		for range 1 + g.IntN(5) {
			var words []string
			for range g.IntN(3) {
				// Of two matches of TCP, iptables-save keeps one, which the list of nft then shows.
				if m := g.savedMatch(family); !strings.Contains(m, "-m tcp") || !strings.Contains(strings.Join(words, " "), "-m tcp") {
					words = append(words, m)
				}
			}
			verdicts := []string{"-j ACCEPT", "-g refuse", "-j RETURN", "-j MARK --set-xmark 0x1/0x1", ""}
			if chain < 3 {
				next := chain + 1 + g.IntN(3-chain)
				verdicts = append(verdicts, fmt.Sprintf("-j c%d", next), fmt.Sprintf("-g c%d", next))
			}
			fmt.Fprintf(&b, "-A c%d %s %s\n", chain, strings.Join(words, " "), g.pick(verdicts...))
		}
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// What Decide says of random rules of iptables, kept by nf_tables or by iptables-legacy, is what the
// kernel does to real packets.
func TestDecideIptablesIsWhatTheKernelDoes(t *testing.T) {
	needNFT(t)
	if !netns.Inside(t, "10.99.0.1/32", "10.99.0.2/32", "10.99.0.3/32", "10.99.0.4/32", "fd99::1/128", "fd99::2/128", "fd99::3/128", "fd99::4/128") {
		return
	}
	netns.NeedNft(t)
	listen(t, 2379, 2380, 2381, 2382)
	keepers := []string{"nft"}
	if _, err := runIptables(t, "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "iptables-legacy-restore"); err == nil {
		keepers = append(keepers, "legacy")
	} else {
		t.Logf("this kernel has no iptables-legacy: %v", err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 2))}
	accepted, refused := 0, 0
	for round := range 24 {
		keeper := keepers[round%len(keepers)]
		var saved []*Iptables
		text := ""
		for family, program := range map[string]string{"ip": "iptables-" + keeper, "ip6": "ip6tables-" + keeper} {
			rules := g.savedRules(family)
			for {
				_, err := runIptables(t, rules, program+"-restore")
				if err == nil {
					break
				}
				rules = g.savedRules(family) // it may have two protocols in one rule
			}
			out, err := runIptables(t, "", program+"-save")
			if err != nil {
				t.Fatal(err)
			}
			s, err := ParseIptables(out)
			if err != nil || s.Family != family {
				t.Fatalf("family %s: %v\n%s", family, err, out)
			}
			saved = append(saved, s)
			text += string(out)
		}
		r, err := Parse(nft(t, "", "-j", "list", "ruleset"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Join(saved...); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		for range 20 {
			family := g.pick("ip", "ip6")
			p := Packet{
				Hook: Input, Src: netip.MustParseAddr(g.addr(family)), Dst: netip.MustParseAddr(g.addr(family)), Port: uint16(2379 + g.IntN(4)),
				InLoopback: true, knowsAddress: true, fromHost: yes, toHost: yes,
			}
			d := r.Decide(p)
			if d.Err != nil {
				t.Fatalf("seed %d: %+v: %v\n%s", seed, p, d.Err, text)
			}
			if got := connects(t, p); got != d.Accept {
				t.Fatalf("seed %d: %+v: the kernel lets it in: %t; %+v %s\n%s", seed, p, got, d, d.Rule(), text)
			} else if got {
				accepted++
			} else {
				refused++
			}
		}
		if _, err := runIptables(t, "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "iptables-"+keeper+"-restore"); err != nil {
			t.Fatal(err)
		}
		if _, err := runIptables(t, "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "ip6tables-"+keeper+"-restore"); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d packets were accepted and %d refused, with %v", accepted, refused, keepers)
	if accepted < 40 || refused < 40 {
		t.Errorf("%d packets were accepted and %d refused; the rules are not as random as that", accepted, refused)
	}
}

// listen accepts connections at ports of every address.
func listen(t *testing.T, ports ...int) {
	t.Helper()
	for _, port := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
	}
}
