package pki

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// awkwardWords are names that folders, roles and files of a store have too.
func awkwardWords() []string {
	return []string{"server", "peer", "gateway-client", "clients", "nodes", "authorities", "pki", "client", "ca", "crl", "client-root", "peer-root", "peer-issuing", "me", "cluster"}
}

// awkwardSpec returns a spec in which members and clients have awkward names.
func awkwardSpec(layout cluster.Layout, members, clients []string, pkiLines string) string {
	var b strings.Builder
	b.WriteString("apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: test}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    enableGRPCGateway: true\n    members:\n")
	for i, name := range members {
		fmt.Fprintf(&b, "      - {name: %q, addresses: [10.0.0.%d]}\n", name, 11+i)
	}
	if len(clients) > 0 {
		b.WriteString("  clients:\n")
	}
	for i, name := range clients {
		// Those that some layouts keep beside a member come first.
		roles := []cluster.Role{cluster.RoleKubernetes, cluster.RoleHealthcheck, cluster.RoleMonitoring, cluster.RoleBackup}
		fmt.Fprintf(&b, "    - {name: %q, role: %s}\n", name, roles[min(i, len(roles)-1)])
	}
	fmt.Fprintf(&b, "  pki:\n    layout: %s\n    crl: true\n%s", layout, pkiLines)
	return b.String()
}

// customFiles returns a spec's files with some clients beside the members.
func customFiles(clients ...string) string {
	text := "    files:\n      clientCA: ca.crt\n      peerCA: peers/ca.crt\n      server: {cert: server.crt, key: server.csr}\n      peer: {cert: server.pem, key: \"{{.Name}}.key\"}\n      clients:\n"
	for _, name := range clients {
		text += fmt.Sprintf("        - {name: %q, cert: \"%s-of-{{.Name}}/c.crt\", key: \"%s-of-{{.Name}}/c.key\"}\n", name, name, name)
	}
	return text
}

// checkHolders checks that each certificate of a store is that of its holder, for its purposes, with a key of
// its own.
func checkHolders(t *testing.T, dir string, c *cluster.Cluster) {
	t.Helper()
	keys := map[string]string{}
	for _, b := range NewPlan(c).Bundles {
		for _, l := range b.Leaves {
			cert := readChain(t, filepath.Join(dir, b.Path, l.CertFile))[0]
			holder := l.ID.Member
			if l.ID.Client != "" {
				holder = l.ID.Client
			}
			if cert.Subject.CommonName != holder || !sameEKUs(cert.ExtKeyUsage, l.EKUs) {
				t.Errorf("%s/%s is that of %s for %v, want %s for %v", b.Path, l.CertFile, cert.Subject.CommonName, cert.ExtKeyUsage, holder, l.EKUs)
			}
			key, err := ReadKey(filepath.Join(dir, b.Path, l.KeyFile))
			if err != nil || !samePublicKey(key.Public(), cert.PublicKey) {
				t.Errorf("%s/%s is not its key: %v", b.Path, l.KeyFile, err)
			}
			hash := keyHash(cert)
			if other, twice := keys[hash]; twice {
				t.Errorf("%s and %s have one key", other, l.Name)
			}
			keys[hash] = l.Name
		}
	}
}

// Whatever members and clients are called, and in every layout, each certificate is who it should be.
func TestAwkwardNames(t *testing.T) {
	t.Parallel()
	words := awkwardWords()
	for _, layout := range cluster.Layouts() {
		for half := range 2 {
			t.Run(fmt.Sprint(layout, half), func(t *testing.T) {
				t.Parallel()
				// Each word is a member once, and a client once; the CN of a certificate has one holder.
				members, clients := words[:7], words[7:]
				if half == 1 {
					members, clients = clients, members
				}
				files := ""
				if layout == cluster.LayoutCustom {
					files = customFiles(clients...)
				}
				dir, c := filepath.Join(t.TempDir(), "store"), reload(t, awkwardSpec(layout, members, clients, files))
				issue(t, dir, c, testNow())
				checkHolders(t, dir, c)
				if got := statesOf(t, dir, c, testNow()); len(got) > 0 {
					t.Errorf("status: %q", got)
				}
				if survey, err := issueErr(t, dir, c, testNow()); err != nil || !survey.Nothing() {
					t.Errorf("the second run has work: %v", err)
				}
			})
		}
	}
}

// Keys and requests of a node do not meet either, and the signed requests are those of their leaves.
func TestAwkwardRequests(t *testing.T) {
	t.Parallel()
	c := reload(t, awkwardSpec(cluster.LayoutCustom, []string{"clients", "peer"}, []string{"server"}, customFiles("server")))
	dir, node := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "node")
	bundle, leaves, ok := NewPlan(c).Find("nodes/clients")
	if !ok {
		t.Fatal("no such member")
	}
	made, err := MakeRequests(node, leaves, c.PKI.KeyAlgorithm, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range made {
		if _, err := ReadKey(filepath.Join(node, r.Key)); err != nil {
			t.Error(err)
		}
	}
	again, err := MakeRequests(node, leaves, c.PKI.KeyAlgorithm, false)
	if err != nil || slices.ContainsFunc(again, func(r Request) bool { return !r.Kept }) {
		t.Errorf("the second run: %+v %v", again, err)
	}
	requests, err := ReadRequests(node, leaves)
	if err != nil || len(requests) != len(leaves) {
		t.Fatalf("%d of %d requests: %v", len(requests), len(leaves), err)
	}
	issue(t, dir, reload(t, awkwardSpec(cluster.LayoutCustom, []string{"peer"}, []string{"server"}, customFiles("server"))), testNow())
	if _, err := renewErr(t, dir, c, testNow(), Renewal{Requests: requests}); err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves {
		key, err := ReadKey(filepath.Join(node, l.KeyFile))
		if cert := readChain(t, filepath.Join(dir, bundle.Path, l.CertFile))[0]; err != nil || !samePublicKey(key.Public(), cert.PublicKey) {
			t.Errorf("%s does not have the key in %s: %v", l.Name, l.KeyFile, err)
		}
	}
}

// Two holders do not get one request or one key, because somebody gave both the same folder.
func TestRequestsOfTwoHoldersInOneFolder(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "  clients: [{name: backup, role: backup}]\n")
	node := t.TempDir()
	find := func(name string) []Leaf {
		_, leaves, _ := NewPlan(c).Find(name)
		return leaves
	}
	if _, err := MakeRequests(node, find("backup"), c.PKI.KeyAlgorithm, false); err != nil {
		t.Fatal(err)
	}
	before := tree(t, node)
	for _, dryRun := range []bool{true, false} {
		if _, err := MakeRequests(node, find("auditor"), c.PKI.KeyAlgorithm, dryRun); err == nil || !strings.Contains(err.Error(), "client.csr is there already, for CN=backup, and clients/auditor has CN=auditor") {
			t.Errorf("dry run %t: %v", dryRun, err)
		}
	}
	if after := tree(t, node); len(before) != len(after) || before["client.csr"] != after["client.csr"] {
		t.Errorf("the folder changed: %v", after)
	}
}

// collide returns the specs of a generator: small, with file names that are equal, folders of each other, or
// equal only for some member.
func collide(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	words := awkwardWords()
	r.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	name := func() string {
		part := func() string {
			return pick("a", "b", "a.crt", "a.csr", "a.crt.csr", "a.pem", "ca.crt", "client.crl", "{{.Name}}", "{{.Name}}.crt", words[0], words[0]+".crt", "a-{{.Name}}", "a-"+words[1])
		}
		if r.IntN(4) == 0 {
			return part() + "/" + part()
		}
		return part()
	}
	text := fmt.Sprintf("    files:\n      clientCA: %q\n      peerCA: %q\n", name(), name())
	for _, pair := range []string{"server", "peer"} {
		text += fmt.Sprintf("      %s: {cert: %q, key: %q}\n", pair, name(), name())
	}
	clients := words[2 : 2+r.IntN(3)]
	if len(clients) > 0 {
		text += fmt.Sprintf("      clients: [{name: %q, cert: %q, key: %q}]\n", clients[0], name(), name())
	}
	return awkwardSpec(cluster.LayoutCustom, words[:2], clients, text)
}

// Either the spec is refused, or all outputs have places of their own and the certificates are right.
func TestSpecsThatCollide(t *testing.T) {
	t.Parallel()
	const most = 4 // are issued: the plan of each is checked anyway
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	accepted, refused := 0, 0
	for range 3000 {
		spec := collide(r)
		c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
		if err != nil {
			if !strings.Contains(err.Error(), "spec.pki.files") {
				t.Fatalf("seed %d: %v\n%s", seed, err, spec)
			}
			refused++
			continue
		}
		if err := NewPlan(c).Check(nil); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, spec)
		}
		if accepted++; accepted <= most {
			dir := filepath.Join(t.TempDir(), fmt.Sprint(accepted))
			issue(t, dir, c, testNow())
			checkHolders(t, dir, c)
		}
	}
	if accepted < most || refused == 0 {
		t.Errorf("seed %d: %d accepted, %d refused", seed, accepted, refused)
	}
}

// The check of the plan finds what the spec's validation is there to prevent.
func TestPlanCheck(t *testing.T) {
	t.Parallel()
	c := specOf(t, 2, "")
	for name, tc := range map[string]struct {
		change func(*Plan)
		more   []durable.File
		want   string
	}{
		"nothing":                    {func(*Plan) {}, nil, ""},
		"a certificate and a key":    {func(p *Plan) { p.Bundles[0].Leaves[0].KeyFile = p.Bundles[0].Leaves[1].CertFile }, nil, "two files of nodes/etcd-0/pki are peer.crt"},
		"a request":                  {func(p *Plan) { p.Bundles[0].Leaves[0].CSRFile = "peer.key" }, nil, "two files of nodes/etcd-0/pki are peer.key"},
		"a file and a folder":        {func(p *Plan) { p.Bundles[0].Leaves[0].KeyFile = "peer.crt/x" }, nil, "peer.crt/x would be in peer.crt"},
		"a leaf twice":               {func(p *Plan) { p.Bundles[1].Leaves[0].ID = p.Bundles[0].Leaves[0].ID }, nil, "etcd-1/server is there twice"},
		"a name twice":               {func(p *Plan) { p.Bundles[1].Leaves[0].Name = "etcd-0/peer" }, nil, "have one name, etcd-0/peer"},
		"a bundle twice":             {func(p *Plan) { p.Bundles[1].Path = p.Bundles[0].Path }, nil, "two outputs are nodes/etcd-0/pki"},
		"a bundle in a bundle":       {func(p *Plan) { p.Bundles[1].Path = "nodes/etcd-0/pki/more" }, nil, "nodes/etcd-0/pki/more would be in nodes/etcd-0/pki"},
		"a configuration twice":      {func(*Plan) {}, []durable.File{{Name: "nodes/etcd-0/etcd.yaml"}, {Name: "nodes/etcd-0/etcd.yaml"}}, "two outputs are nodes/etcd-0/etcd.yaml"},
		"a configuration in the pki": {func(*Plan) {}, []durable.File{{Name: "nodes/etcd-0/pki/server.crt"}}, "would be in nodes/etcd-0/pki"},
		"a configuration as a spec":  {func(*Plan) {}, []durable.File{{Name: SpecName}}, "two outputs are cluster.yaml"},
	} {
		plan := NewPlan(c)
		tc.change(&plan)
		err := plan.Check(tc.more)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	// A run asks it before it writes anything.
	dir := filepath.Join(t.TempDir(), "store")
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Apply(t.Context(), c, Change{Files: []durable.File{{Name: "nodes/etcd-0/pki/x"}}}, IssueConfig{Now: testNow()}); err == nil {
		t.Error("written into a bundle")
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "nodes")); err == nil {
		t.Errorf("it wrote %v", entries)
	}
}

// A key whose file is gone is not replaced by a new one in silence.
func TestRequestOfAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	c, node := specOf(t, 1, ""), t.TempDir()
	_, leaves, _ := NewPlan(c).Find("auditor")
	if err := os.Symlink("..data/client.key", filepath.Join(node, "client.key")); err != nil {
		t.Fatal(err)
	}
	for _, dryRun := range []bool{true, false} {
		if _, err := MakeRequests(node, leaves, c.PKI.KeyAlgorithm, dryRun); err == nil || !strings.Contains(err.Error(), "client.key is a symlink to a file that is gone") {
			t.Errorf("dry run %t: %v", dryRun, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(node, "client.key")); err != nil || target != "..data/client.key" {
		t.Errorf("it is %q, %v", target, err)
	}
}
