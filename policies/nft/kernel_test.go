package nft

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/netns"
)

// nft runs nft(8), in a namespace of the test.
func nft(t *testing.T, stdin string, args ...string) []byte {
	t.Helper()
	path, err := netns.Tool("nft")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("nft %v: %v: %s\n%s", args, err, stderr.String(), stdin)
	}
	return out
}

// loads says whether nft takes a file, and loads it.
func loads(t *testing.T, text string) bool {
	t.Helper()
	path, err := netns.Tool("nft")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	return cmd.Run() == nil
}

func needNFT(t *testing.T) {
	t.Helper()
	if _, err := netns.Tool("nft"); err != nil {
		t.Skipf("nft is not installed: %v", err)
	}
}

// What the nft of this machine prints of a file is understood, and where all of it is, the
// text of that is loaded again and is the same.
func TestParseOfThisMachine(t *testing.T) {
	needNFT(t)
	if !netns.Inside(t) {
		return
	}
	netns.NeedNft(t)
	files, err := filepath.Glob("testdata/*.nft")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		nft(t, "flush ruleset\n"+string(data), "-f", "-")
		r, err := Parse(nft(t, "", "-j", "list", "ruleset"))
		if err != nil || len(r.Tables) == 0 {
			t.Fatalf("%s: %v", file, err)
		}
		if filepath.Base(file) != "docker.nft" {
			continue
		}
		nft(t, "flush ruleset\n"+string(r.Text()), "-f", "-")
		again, err := Parse(nft(t, "", "-j", "list", "ruleset"))
		if err != nil {
			t.Fatal(err)
		}
		if d := Diff(r, again); len(d) > 0 {
			t.Errorf("%s: %v", file, d)
		}
	}
}

// The rules of hosts with iptables are ones that iptables takes, and what nft then lists is read.
func TestRulesOfIptables(t *testing.T) {
	restore, err := netns.Tool("iptables-nft-restore")
	if err != nil {
		t.Skipf("iptables-nft is not installed: %v", err)
	}
	needNFT(t)
	if !netns.Inside(t) {
		return
	}
	netns.NeedNft(t)
	files, err := filepath.Glob("testdata/*.rules")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("--match-set")) {
			continue // its sets are those of ipset(8)
		}
		nft(t, "flush ruleset\n", "-f", "-")
		cmd := exec.CommandContext(t.Context(), restore)
		cmd.Stdin = bytes.NewReader(data)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", file, err, out)
			continue
		}
		live, err := Parse(nft(t, "", "-j", "list", "ruleset"))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, table := range dump(t, strings.TrimSuffix(filepath.Base(file), ".rules")).Tables {
			at := slices.IndexFunc(live.Tables, func(l Table) bool { return l.Family == table.Family && l.Name == table.Name })
			if at < 0 {
				t.Errorf("%s: no table %s", file, table.Name)
				continue
			}
			for _, c := range table.Chains {
				if l := live.Tables[at].chain(c.Name); l == nil || len(l.Rules) != len(c.Rules) {
					t.Errorf("%s: table %s: chain %s is not as it was listed", file, table.Name, c.Name)
				}
			}
		}
	}
}

// generator writes random rules: chains that jump to later ones, and matches of all kinds
// that are understood.
type generator struct{ *rand.Rand }

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) addr(family string) string {
	if family == "ip6" {
		return fmt.Sprintf("fd99::%d", 1+g.IntN(4))
	}
	return fmt.Sprintf("10.99.0.%d", 1+g.IntN(4))
}

func (g generator) addrs(family string) string {
	prefix, low, high := "10.99.0.2/31", "10.99.0.2", "10.99.0.3"
	if family == "ip6" {
		prefix, low, high = "fd99::2/127", "fd99::2", "fd99::3"
	}
	one := g.addr(family)
	return g.pick(one, prefix, low+"-"+high, "{ "+one+", "+prefix+" }", "@hosts"+family, "@nets"+family)
}

func (g generator) port() string { return fmt.Sprint(2379 + g.IntN(4)) }

func (g generator) match(family string) string {
	not := g.pick("", "", "!= ")
	switch g.IntN(11) {
	case 0, 1, 2:
		return family + " " + g.pick("saddr ", "daddr ") + not + g.addrs(family)
	case 3, 4:
		return g.pick("tcp", "tcp", "th") + " dport " + g.pick(not+g.port(), not+"2380-2381", not+"{ 2379, 2381 }", "< 2381", ">= 2380")
	case 5:
		return g.pick(`iif "lo"`, `iif != "lo"`, `iifname "lo"`, `iifname { "lo", "eth7" }`, `iifname != "lo"`, `oifname "eth7"`)
	case 6:
		return g.pick("ct state new", "ct state established,related", "ct state { invalid, new }", "ct state != new")
	case 7:
		return g.pick("meta nfproto ipv4", "meta nfproto ipv6", "meta l4proto { tcp, udp }", "meta l4proto udp", "meta protocol ip", "udp dport 2379")
	case 8:
		return "fib daddr type " + not + "local"
	case 9:
		return "tcp flags " + g.pick("& (fin|syn) == fin|syn", "& (syn|rst) != syn|rst", "& (fin|syn|ack) == syn", "& (fin|syn|rst|psh|ack|urg) == 0x0", "syn", "fin,ack")
	}
	return family + " saddr . tcp dport " + not + "@pairs" + family
}

func (g generator) verdict(chain int) string {
	// Not reject itself: nft 1.0.6 lists "meta nfproto ipv6 reject with tcp reset" without its
	// first part.
	verdicts := []string{"accept", "goto refuse", "return", "counter", "continue"}
	if chain < 3 {
		verdicts = append(verdicts, fmt.Sprintf("jump c%d", chain+1+g.IntN(3-chain)), fmt.Sprintf("goto c%d", chain+1+g.IntN(3-chain)))
	}
	return g.pick(verdicts...)
}

func (g generator) rule(chain int) string {
	if g.IntN(6) == 0 {
		to := func() string {
			v := g.pick("accept", "return", "continue", "drop")
			if chain < 3 {
				v = g.pick(v, fmt.Sprintf("jump c%d", chain+1), fmt.Sprintf("goto c%d", chain+1))
			}
			return strings.ReplaceAll(v, "drop", "goto refuse") // what is dropped takes long to see
		}
		return fmt.Sprintf("tcp dport vmap { 2379 : %s, 2380-2381 : %s }", to(), to())
	}
	var words []string
	family := g.pick("ip", "ip6")
	for range g.IntN(3) {
		words = append(words, g.match(family))
	}
	return strings.Join(append(words, g.verdict(chain)), " ")
}

func (g generator) table() string {
	var b strings.Builder
	b.WriteString("table inet lottery\ndelete table inet lottery\ntable inet lottery {\n")
	for _, family := range []string{"ip", "ip6"} {
		typ := map[string]string{"ip": "ipv4_addr", "ip6": "ipv6_addr"}[family]
		network := map[string]string{"ip": "10.99.0.0/31", "ip6": "fd99::/127"}[family]
		fmt.Fprintf(&b, "set hosts%s {\n type %s\n elements = { %s }\n}\n", family, typ, g.addr(family))
		fmt.Fprintf(&b, "set nets%s {\n type %s\n flags interval\n elements = { %s }\n}\n", family, typ, network)
		fmt.Fprintf(&b, "set pairs%s {\n type %s . inet_service\n elements = { %s . %s }\n}\n", family, typ, g.addr(family), g.port())
	}
	b.WriteString("chain refuse {\n reject with tcp reset\n}\n")
	for chain := 3; chain >= 0; chain-- {
		fmt.Fprintf(&b, "chain c%d {\n", chain)
		for range 1 + g.IntN(5) {
			b.WriteString("  " + g.rule(chain) + "\n")
		}
		b.WriteString("}\n")
	}
	// Only the first packet of a connection is judged, so that answers come back.
	b.WriteString("chain in {\n type filter hook input priority 0; policy accept;\n tcp flags & (fin|syn|rst|ack) == syn jump c0\n}\n}\n")
	return b.String()
}

// What Decide says of random rules is what the kernel does to real packets.
func TestDecideIsWhatTheKernelDoes(t *testing.T) {
	needNFT(t)
	if !netns.Inside(t, "10.99.0.1/32", "10.99.0.2/32", "10.99.0.3/32", "10.99.0.4/32", "fd99::1/128", "fd99::2/128", "fd99::3/128", "fd99::4/128") {
		return
	}
	netns.NeedNft(t)
	listen(t, 2379, 2380, 2381, 2382)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 1))}
	accepted, refused := 0, 0
	for range 60 {
		text := g.table()
		for !loads(t, text) { // it may contradict itself, by two protocols in one rule
			text = g.table()
		}
		r, err := Parse(nft(t, "", "-j", "list", "ruleset"))
		if err != nil {
			t.Fatal(err)
		}
		in := r.Tables[0].chain("in")
		in.Rules[0].Statements = in.Rules[0].Statements[1:]
		for range 20 {
			family := g.pick("ip", "ip6")
			p := Packet{Hook: Input, Src: netip.MustParseAddr(g.addr(family)), Dst: netip.MustParseAddr(g.addr(family)), Port: uint16(2379 + g.IntN(4)), InLoopback: true}
			d := r.Decide(p)
			if d.Err != nil {
				t.Fatalf("seed %d: %+v: %v\n%s", seed, p, d.Err, text)
			}
			if got := connects(t, p); got != d.Accept {
				t.Fatalf("seed %d: %+v: the kernel lets it in: %t; %+v\n%s", seed, p, got, d, text)
			} else if got {
				accepted++
			} else {
				refused++
			}
		}
	}
	if accepted < 100 || refused < 100 {
		t.Errorf("%d packets were accepted and %d refused; the rules are not as random as that", accepted, refused)
	}
}

func connects(t *testing.T, p Packet) bool {
	t.Helper()
	d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: p.Src.AsSlice()}}
	c, err := d.DialContext(t.Context(), "tcp", netip.AddrPortFrom(p.Dst, p.Port).String())
	switch {
	case err == nil:
		_ = c.Close()
		return true
	case errors.Is(err, syscall.ECONNREFUSED):
		return false
	}
	t.Fatalf("%+v: %v", p, err)
	return false
}
