package guard

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/netns"
	"github.com/etcdsec/etcdsec/policies"
)

// services returns rules as kube-proxy in iptables mode writes them, for some Services.
func services(n int) string {
	var b strings.Builder
	b.WriteString("*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n")
	for i := range n {
		fmt.Fprintf(&b, ":KUBE-SVC-%d - [0:0]\n", i)
	}
	b.WriteString("-A PREROUTING -m comment --comment \"service portals\" -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n")
	for i := range n {
		fmt.Fprintf(&b, "-A KUBE-SERVICES -d 10.96.%d.%d/32 -p tcp -m comment --comment \"ns/s%d\" -m tcp --dport 80 -j KUBE-SVC-%d\n", i/250, i%250+1, i, i)
		fmt.Fprintf(&b, "-A KUBE-SVC-%d -p tcp -m comment --comment \"ns/s%d\" -m tcp -j DNAT --to-destination 10.244.0.9:8080\n", i, i)
	}
	b.WriteString("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\nCOMMIT\n")
	return b.String()
}

func restore(t testing.TB, program, rules string) {
	t.Helper()
	path, err := netns.Tool(program)
	if err != nil {
		t.Skipf("iptables is not installed: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path) //nolint:gosec // a program of iptables, in a namespace of the test
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

func memberIntent(t testing.TB) (*policies.Intent, policies.NodeFilter) {
	t.Helper()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.99.0.1]}
  apiServers:
    - {name: cp-0, addresses: [10.99.0.1]}
`))
	if err != nil {
		t.Fatal(err)
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	return i, i.NodeFilter("etcd-0")
}

// On the host of a member only the chains that its connections meet are listed, and whatever sends these
// elsewhere is found, whoever keeps the rule.
func TestDriftListsWhatIsMet(t *testing.T) {
	n, in := inside(t, "10.99.0.1/32")
	if !in {
		return
	}
	i, filter := memberIntent(t)
	restore(t, "iptables-nft-restore", services(300))
	if err := n.Load(t.Context(), i.NodeFilter("etcd-0").Rules(i).Text()); err != nil {
		t.Fatal(err)
	}
	live, sure, err := n.neededRules(t.Context(), i, filter)
	if err != nil || !sure {
		t.Fatalf("sure %t: %v", sure, err)
	}
	rules, chains := 0, 0
	for _, table := range live.Tables {
		for _, c := range table.Chains {
			rules += len(c.Rules)
			if !c.Unlisted && table.Name == "nat" {
				chains++
			}
		}
	}
	if chains != 4 || rules < 300 || rules > 350 {
		t.Errorf("%d chains of table nat and %d rules in all are listed", chains, rules)
	}
	drift := func(want ...string) {
		t.Helper()
		found, err := Drift(t.Context(), i, "")
		var got []string
		for _, d := range found {
			got = append(got, d.Kind+" "+d.What+": "+d.Live)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, want %q: %v", got, want, err)
		}
	}
	drift()
	// A Service of ports of the node whose rule does not meet etcd's, and one that does.
	restoreMore := func(rule string) {
		restore(t, "iptables-nft-restore", strings.Replace(services(3), "COMMIT", rule+"\nCOMMIT", 1))
	}
	restoreMore("-A KUBE-NODEPORTS -p tcp -m multiport --dports 30080:30090 -j DNAT --to-destination 10.244.0.9:8080")
	drift()
	restoreMore("-A KUBE-NODEPORTS -p tcp -m multiport --dports 2379:2380 -j DNAT --to-destination 10.244.0.9:8080")
	drift("extra table ip nat, chain KUBE-NODEPORTS, rule 1: -p tcp -m multiport --dports 2379:2380 -j DNAT --to-destination 10.244.0.9:8080")
	restoreMore("")
	// In a map.
	if err := n.Load(t.Context(), []byte(`table ip other {
	map ports { type inet_service : verdict; elements = { 2380 : goto elsewhere } }
	chain elsewhere { dnat to 10.244.0.9; }
	chain pre { type nat hook prerouting priority dstnat; fib daddr type local tcp dport vmap @ports; }
}`)); err != nil {
		t.Fatal(err)
	}
	drift("extra table ip other, chain elsewhere, rule 1: dnat to 10.244.0.9")
	if err := n.Load(t.Context(), []byte("delete table ip other\n")); err != nil {
		t.Fatal(err)
	}
	drift()
	// Kept by iptables-legacy, where the kernel has it.
	path, err := netns.Tool("iptables-legacy-restore")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), path) //nolint:gosec // a program of iptables, in a namespace of the test
	cmd.Stdin = strings.NewReader("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 2379 -j REDIRECT --to-ports 12379\nCOMMIT\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("this kernel has no iptables-legacy: %v: %s", err, out)
	}
	drift("extra table ip nat of iptables-legacy, chain PREROUTING, rule 1: -p tcp -m tcp --dport 2379 -j REDIRECT --to-ports 12379")
}

// Each change of the rules has a generation of its own.
func TestGeneration(t *testing.T) {
	n, in := inside(t)
	if !in {
		return
	}
	before, err := generation()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := generation(); err != nil || again != before {
		t.Errorf("%d, then %d: %v", before, again, err)
	}
	if err := n.Load(t.Context(), []byte(ours)); err != nil {
		t.Fatal(err)
	}
	if after, err := generation(); err != nil || after == before {
		t.Errorf("%d, and %d after a change: %v", before, after, err)
	}
	for _, answer := range [][]byte{nil, make([]byte, 20), make([]byte, 64)} {
		if _, err := parseGeneration(answer); err == nil {
			t.Errorf("%v: no error", answer)
		}
	}
}

// A table that is loaded and dormant drops nothing: it is not in force, whatever the release of nft prints.
func TestDriftOfADormantTable(t *testing.T) {
	n, in := inside(t, "10.99.0.1/32")
	if !in {
		return
	}
	i, filter := memberIntent(t)
	rules := filter.Rules(i)
	if err := n.Load(t.Context(), rules.Text()); err != nil {
		t.Fatal(err)
	}
	drift := func() []policies.Difference {
		found, err := Drift(t.Context(), i, "")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := drift(); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
	table := rules.Tables[0].Family + " " + rules.Tables[0].Name
	if err := n.Load(t.Context(), []byte("add table "+table+" { flags dormant; }")); err != nil {
		t.Fatal(err)
	}
	if got := drift(); len(got) != 1 || !strings.Contains(got[0].What, table) || got[0].Live != "dormant" || got[0].Want != "in force" {
		t.Errorf("got %+v", got)
	}
	all, err := n.Ruleset(t.Context())
	if err != nil || len(all.Tables) != 1 || !all.Tables[0].Dormant || all.Tables[0].MaybeDormant {
		t.Errorf("got %+v, %v", all, err)
	}
}
