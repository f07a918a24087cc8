package policies

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/netns"
	"github.com/etcdsec/etcdsec/policies/nft"
)

var updateNftables = flag.Bool("update-nftables", false, "write the golden files of nftables")

// nftablesSpec has everything: both families, a member that joins, networks within others.
const nftablesSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod-eu1}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11, "fd00::11"]}
      - {name: etcd-1, addresses: [10.0.0.12, "fd00::12"]}
      - {name: etcd-2, addresses: [10.0.0.13, "fd00::13"]}
      - {name: etcd-3, addresses: [10.0.0.14, "fd00::14"], joining: true}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11, "fd00::11"]}
    - {name: cp-9, addresses: [10.0.0.21]}
  isolation:
    backends: [nftables]
    scrapers: [10.0.0.40/32, 10.0.1.0/25, 10.0.1.128/25, 10.0.1.7/32, "fd00:0:0:1::/64"]
    backups: [10.0.0.50/32]
    podCIDRs: [10.244.0.0/16]
    nodeCIDRs: [10.0.0.0/24]
`

func intentOf(t testing.TB, spec string) *Intent {
	t.Helper()
	c, err := cluster.Read("spec", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	i, err := NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func nftablesFiles(i *Intent) map[string]*nft.Ruleset {
	return map[string]*nft.Ruleset{"nftables-member.nft": Nftables(i), "nftables-node.nft": NftablesForward(i)}
}

func TestNftablesText(t *testing.T) {
	t.Parallel()
	for name, r := range nftablesFiles(intentOf(t, nftablesSpec)) {
		path := filepath.Join("testdata", name)
		if *updateNftables {
			if err := os.WriteFile(path, r.Text(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(r.Text())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What the real nft lists of a text after it was loaded, twice, is what was meant.
func TestNftablesLoad(t *testing.T) {
	path, err := netns.Tool("nft")
	if err != nil {
		t.Skipf("nft is not installed: %v", err)
	}
	if !netns.Inside(t) {
		return
	}
	netns.NeedNft(t)
	run := func(stdin []byte, args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Stdin = bytes.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("nft %v: %v: %s", args, err, stderr.String())
		}
		return out
	}
	only4 := strings.NewReplacer(`, "fd00::11"`, "", `, "fd00::12"`, "", `, "fd00::13"`, "", `, "fd00::14"`, "", `, "fd00:0:0:1::/64"`, "").Replace(nftablesSpec)
	for _, spec := range []string{nftablesSpec, only4} {
		for name, r := range nftablesFiles(intentOf(t, spec)) {
			run([]byte("flush ruleset"), "-f", "-")
			run(r.Text(), "-c", "-f", "-")
			for range 2 {
				run(r.Text(), "-f", "-")
				live, err := nft.Parse(run(nil, "-j", "list", "ruleset"))
				if err != nil {
					t.Fatal(err)
				}
				if d := nft.Diff(r, live); len(d) > 0 || len(live.Tables) != 1 {
					t.Errorf("%s: %v", name, d)
				}
			}
		}
	}
}

// The rules say of every packet what the intent says.
func TestNftablesDecide(t *testing.T) {
	t.Parallel()
	i := intentOf(t, nftablesSpec)
	members, nodes := Nftables(i), NftablesForward(i)
	sources := []string{
		"10.0.0.11", "10.0.0.12", "10.0.0.14", "10.0.0.21", "10.0.0.40", "10.0.0.50", "10.0.0.99", "10.0.1.200", "10.0.2.1", "10.244.0.5", "192.0.2.1",
		"fd00::11", "fd00::14", "fd00::99", "fd00:0:0:1::7", "2001:db8::1",
	}
	for _, s := range sources {
		src := netip.MustParseAddr(s)
		for _, port := range i.Ports.All() {
			// The last address is of the member's host too, and of no spec.
			for n, dst := range []string{"10.0.0.11", "10.0.0.14", "192.0.2.11"} {
				if src.Is6() {
					dst = []string{"fd00::11", "fd00::14", "2001:db8::11"}[n]
				}
				p := nft.Packet{Hook: nft.Input, Src: src, Dst: netip.MustParseAddr(dst), Port: port}
				want := i.Wanted(src, port)
				if d := members.Decide(p); d.Err != nil || d.Accept != want {
					t.Errorf("%+v: got %+v, want %t", p, d, want)
				}
				if d := nodes.Decide(p); !d.Accept {
					t.Errorf("a port of a node without a member is filtered: %+v: %+v", p, d)
				}
				p.Hook = nft.Forward
				for _, r := range []*nft.Ruleset{members, nodes} {
					if d := r.Decide(p); d.Err != nil || d.Accept != (want || n == 2) {
						t.Errorf("%+v: got %+v, want %t", p, d, want)
					}
				}
			}
		}
		for _, hook := range []nft.Hook{nft.Input, nft.Forward} {
			for _, port := range []uint16{22, 6443, 10250} {
				p := nft.Packet{Hook: hook, Src: src, Dst: netip.MustParseAddr("10.0.0.11"), Port: port}
				if src.Is6() {
					p.Dst = netip.MustParseAddr("fd00::11")
				}
				if d := members.Decide(p); !d.Accept || !strings.Contains(d.Rule(), "policy") {
					t.Errorf("port %d is not ours: %+v: %+v", port, p, d)
				}
			}
		}
	}
	p := nft.Packet{Hook: nft.Input, Src: netip.MustParseAddr("192.0.2.11"), Dst: netip.MustParseAddr("10.0.0.11"), Port: 2381, InLoopback: true}
	if d := members.Decide(p); !d.Accept {
		t.Errorf("the host itself: %+v", d)
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	spec := strings.Replace(nftablesSpec, `    version: "3.6.16"`, "    version: \"3.6.16\"\n    clientPort: 22\n    metricsPort: 6443", 1)
	err := intentOf(t, spec).Refuse("nftables")
	if err == nil || !strings.Contains(err.Error(), "port 22 of etcd is also the port of SSH") || !strings.Contains(err.Error(), "port 6443 of etcd is also the port of the API server") {
		t.Errorf("got %v", err)
	}
	if err := intentOf(t, nftablesSpec).Refuse("nftables"); err != nil {
		t.Errorf("got %v", err)
	}
	i := intentOf(t, nftablesSpec)
	i.Runtime = cluster.Hosted
	if err := i.Refuse("nftables"); err == nil || !strings.Contains(err.Error(), "networkpolicy") {
		t.Errorf("got %v", err)
	}
}
