package pki

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

func testNow() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// specOf is a spec with n members, at IPv4, IPv6 and DNS addresses, and more settings.
func specOf(t testing.TB, n int, more string) *cluster.Cluster {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: test}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    members:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - {name: etcd-%d, addresses: [10.0.0.%d, \"fd00::%d\", etcd-%d.example.internal]}\n", i, 11+i, 11+i, i)
	}
	b.WriteString(more)
	c, err := cluster.Read("cluster.yaml", strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func issueErr(t testing.TB, dir string, c *cluster.Cluster, now time.Time) (*Survey, error) {
	t.Helper()
	return renewErr(t, dir, c, now, Renewal{})
}

func renewErr(t testing.TB, dir string, c *cluster.Cluster, now time.Time, renewal Renewal) (*Survey, error) {
	t.Helper()
	store, err := OpenStore(dir, c)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	work, err := store.Survey(t.Context(), NewPlan(c), now, renewal)
	if err != nil {
		return nil, err
	}
	return work, store.Issue(context.Background(), work, c.YAML, IssueConfig{Now: now})
}

func issue(t testing.TB, dir string, c *cluster.Cluster, now time.Time) *Survey {
	t.Helper()
	work, err := issueErr(t, dir, c, now)
	if err != nil {
		t.Fatal(err)
	}
	return work
}

// tree is every file and symlink below dir with its content and mode.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			files[relative], err = os.Readlink(path)
			return err
		}
		data, err := os.ReadFile(path)
		files[relative] = fmt.Sprintf("%v %s %x", info.Mode(), info.ModTime(), sha256.Sum256(data))
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

func readChain(t testing.TB, path string) []*x509.Certificate {
	t.Helper()
	certs, err := ReadCertificates(path)
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

// Every leaf is valid in its role and in no other, from what its verifier trusts alone.
func TestEveryLeafIsValidInItsRoleOnly(t *testing.T) {
	for _, hierarchy := range []cluster.Hierarchy{cluster.Issuing, cluster.Single} {
		t.Run(string(hierarchy), func(t *testing.T) {
			c := specOf(t, 3, "    enableGRPCGateway: true\n  clients: [{name: backup, role: backup}]\n  pki: {hierarchy: "+string(hierarchy)+"}\n")
			dir := filepath.Join(t.TempDir(), "store")
			issue(t, dir, c, testNow())
			leaves := 0
			for _, b := range NewPlan(c).Bundles {
				for _, l := range b.Leaves {
					leaves++
					checkLeafRoles(t, filepath.Join(dir, b.Path), l)
				}
			}
			if leaves != 3*3+4 {
				t.Errorf("%d leaves", leaves)
			}
		})
	}
}

func checkLeafRoles(t *testing.T, dir string, l Leaf) {
	t.Helper()
	chain := readChain(t, filepath.Join(dir, l.CertFile))
	trust := "ca.crt"
	if l.Role == "peer" {
		trust = "peer-ca.crt"
	}
	root := readChain(t, filepath.Join(dir, trust))[0]
	for _, eku := range bothAuth {
		err := verifyChain(chain, root, eku, testNow())
		if want := slices.Contains(l.EKUs, eku); (err == nil) != want {
			t.Errorf("%s as %v: %v", l.Name, EKUNames([]x509.ExtKeyUsage{eku}), err)
		}
	}
	if l.Role != "peer" {
		return
	}
	// The roots are strangers to each other: that is what keeps clients off the peer port.
	if err := verifyChain(chain, readChain(t, filepath.Join(dir, "ca.crt"))[0], x509.ExtKeyUsageClientAuth, testNow()); err == nil {
		t.Errorf("%s is accepted by the client root", l.Name)
	}
}

func TestHierarchy(t *testing.T) {
	c := specOf(t, 3, "")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	for name, want := range map[string]struct {
		pathLen     int
		ekus        []x509.ExtKeyUsage
		constrained bool
	}{
		ClientRoot: {1, nil, false}, PeerRoot: {1, nil, false},
		ServerIssuing: {0, serverAuth, true}, ClientIssuing: {0, clientAuth, true}, PeerIssuing: {0, bothAuth, true},
	} {
		ca := readChain(t, filepath.Join(dir, "authorities", name, "ca.crt"))[0]
		if !ca.IsCA || ca.MaxPathLen != want.pathLen || want.pathLen == 0 && !ca.MaxPathLenZero || !sameEKUs(ca.ExtKeyUsage, want.ekus) || ca.PermittedDNSDomainsCritical != want.constrained {
			t.Errorf("%s: CA %v, path length %d, EKUs %v, critical constraints %v", name, ca.IsCA, ca.MaxPathLen, ca.ExtKeyUsage, ca.PermittedDNSDomainsCritical)
		}
		if ca.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
			t.Errorf("%s: key usage %v", name, ca.KeyUsage)
		}
	}
}

// A stolen issuing key makes no certificate for another machine, and a stolen client-issuing key none for any.
func TestNameConstraintsHold(t *testing.T) {
	c := specOf(t, 3, "")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	store := &Store{Dir: dir}
	plan := NewPlan(c)
	load := func(name string, issuer *ca) *ca {
		t.Helper()
		at := slices.IndexFunc(plan.Authorities, func(a Authority) bool { return a.Name == name })
		loaded, err := store.loadCA(plan.Authorities[at], issuer)
		if err != nil || loaded == nil {
			t.Fatal(loaded, err)
		}
		return loaded
	}
	root := load(ClientRoot, nil)
	cases := map[string]struct {
		issuer string
		leaf   Leaf
		valid  bool
	}{
		"a member":             {ServerIssuing, Leaf{Names: hostNames(c.Etcd.Members[1].Host), EKUs: serverAuth}, true},
		"another address":      {ServerIssuing, Leaf{Names: hostNames(hostAt(t, "10.0.0.99")), EKUs: serverAuth}, false},
		"another name":         {ServerIssuing, Leaf{Names: hostNames(hostAt(t, "kubernetes.example.internal")), EKUs: serverAuth}, false},
		"a client":             {ClientIssuing, Leaf{EKUs: clientAuth}, true},
		"a client with a name": {ClientIssuing, Leaf{Names: hostNames(hostAt(t, "etcd-0.example.internal")), EKUs: clientAuth}, false},
		"a client as a server": {ClientIssuing, Leaf{EKUs: serverAuth}, false},
		"a server as a client": {ServerIssuing, Leaf{Names: hostNames(c.Etcd.Members[1].Host), EKUs: clientAuth}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			issuer := load(tc.issuer, root)
			chain := forge(t, issuer, tc.leaf)
			err := verifyChain(chain, root.cert, tc.leaf.EKUs[0], testNow())
			if (err == nil) != tc.valid {
				t.Errorf("valid %v, want %v: %v", err == nil, tc.valid, err)
			}
		})
	}
}

func hostAt(t *testing.T, address string) cluster.Host {
	t.Helper()
	a, err := cluster.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return cluster.Host{Name: "x", Addresses: []cluster.Address{a}}
}

// forge signs with the CA's key what its owner would not have signed.
func forge(t *testing.T, issuer *ca, l Leaf) []*x509.Certificate {
	t.Helper()
	key, err := generateKey(cluster.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{NotBefore: testNow().Add(-time.Minute), NotAfter: testNow().Add(time.Hour), ExtKeyUsage: l.EKUs, DNSNames: l.Names.DNS}
	for _, ip := range l.Names.IPs {
		template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{cert, issuer.cert}
}

func TestIssueTwiceChangesNothing(t *testing.T) {
	c := specOf(t, 3, "  clients: [{name: backup, role: backup}]\n")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	before := tree(t, dir)
	work := issue(t, dir, c, testNow().Add(time.Hour))
	if !work.Nothing() || work.Due() {
		t.Errorf("work: %+v", work.Steps)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
}

// A spec that gained a member: only the member's bundle is new, and the issuing CAs get
// certificates whose constraints cover it, for the keys they have.
func TestGainedMember(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 2, ""), testNow())
	before := tree(t, dir)
	three := specOf(t, 3, "")
	work := issue(t, dir, three, testNow().Add(time.Hour))
	var did []string
	for _, s := range work.Steps {
		if s.Action != ActionKeep {
			did = append(did, string(s.Action)+" "+s.Name)
		}
	}
	want := []string{"extend server-issuing", "extend peer-issuing", "issue etcd-2/server", "issue etcd-2/peer"}
	if diff := cmp.Diff(want, did); diff != "" {
		t.Errorf("work (-want +got):\n%s", diff)
	}
	after := tree(t, dir)
	for path, content := range before {
		if strings.HasPrefix(path, "nodes/") || strings.HasPrefix(path, "clients/") || strings.Contains(path, "-root") {
			if after[path] != content {
				t.Errorf("%s changed", path)
			}
		}
	}
	again := issue(t, dir, three, testNow().Add(2*time.Hour))
	if !again.Nothing() || again.Due() {
		t.Errorf("a third run found work: %+v", again.Steps)
	}
	old, extended := readChain(t, filepath.Join(dir, "authorities", ".server-issuing.1", "ca.crt"))[0], readChain(t, filepath.Join(dir, "authorities", "server-issuing", "ca.crt"))[0]
	if !samePublicKey(old.PublicKey, extended.PublicKey) || !bytes.Equal(old.RawSubject, extended.RawSubject) {
		t.Error("the extended CA has another key or name")
	}
}

// With names permitted beforehand, a member joins without the root key.
func TestGainedMemberWithoutTheRootKey(t *testing.T) {
	permitted := "  pki: {permittedNames: [10.0.0.0/24, \"fd00::/64\", example.internal]}\n"
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 2, permitted), testNow())
	for _, root := range []string{ClientRoot, PeerRoot} {
		if err := os.Remove(filepath.Join(dir, "authorities", root, "ca.key")); err != nil {
			t.Fatal(err)
		}
	}
	issue(t, dir, specOf(t, 3, permitted), testNow())
	_, err := issueErr(t, dir, specOf(t, 3, permitted+"  clients: [{name: backup, role: backup}]\n"), testNow())
	if err != nil {
		t.Errorf("a client: %v", err)
	}
}

func TestMissingRootKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 2, ""), testNow())
	if err := os.Remove(filepath.Join(dir, "authorities", PeerRoot, "ca.key")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	_, err := issueErr(t, dir, specOf(t, 3, ""), testNow())
	if err == nil || !strings.Contains(err.Error(), "authorities/peer-root/ca.key is not in the store, but it must sign peer-issuing") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
}

// The gateway turned on later adds a leaf to each member's bundle and keeps its others.
func TestGainedGateway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	server := readChain(t, filepath.Join(dir, "nodes", "etcd-0", "pki", "server.crt"))[0]
	issue(t, dir, specOf(t, 1, "    enableGRPCGateway: true\n"), testNow())
	pki := filepath.Join(dir, "nodes", "etcd-0", "pki")
	if got := readChain(t, filepath.Join(pki, "server.crt"))[0]; !got.Equal(server) {
		t.Error("the server leaf was replaced")
	}
	checkLeafRoles(t, pki, Leaf{Name: "gateway", CertFile: "gateway-client.crt", KeyFile: "gateway-client.key", EKUs: clientAuth})
	if info, err := os.Stat(filepath.Join(pki, "server.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

// Without the long RSA keys, which take seconds each to make.
func TestKeyAlgorithms(t *testing.T) {
	testKeyAlgorithms(t, slices.DeleteFunc(cluster.KeyAlgorithms(), func(a cluster.KeyAlgorithm) bool {
		return a == cluster.RSA3072 || a == cluster.RSA4096
	}))
}

func testKeyAlgorithms(t *testing.T, algorithms []cluster.KeyAlgorithm) {
	t.Helper()
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			c := specOf(t, 1, "  pki: {keyAlgorithm: "+string(algorithm)+"}\n")
			issue(t, filepath.Join(t.TempDir(), "store"), c, testNow())
		})
	}
}

func TestLeafDoesNotOutliveItsIssuer(t *testing.T) {
	c := specOf(t, 1, "  pki: {rootLifetime: 100h, issuingLifetime: 100h, leafLifetime: 60h}\n")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	// Leaves that are made later get what is left of the issuer, and the run says so.
	clients := ""
	for name, after := range map[string]time.Duration{"backup": 60 * time.Hour, "late": 90 * time.Hour} {
		clients += "{name: " + name + ", role: backup}, "
		work := issue(t, dir, specOf(t, 1, "  pki: {rootLifetime: 100h, issuingLifetime: 100h, leafLifetime: 60h}\n  clients: ["+clients+"]\n"), testNow().Add(after))
		leaf, issuer := readChain(t, filepath.Join(dir, "clients", name, "client.crt"))[0], readChain(t, filepath.Join(dir, "authorities", ClientIssuing, "ca.crt"))[0]
		if !leaf.NotAfter.Equal(issuer.NotAfter) {
			t.Errorf("the leaf ends %s, its issuer %s", leaf.NotAfter, issuer.NotAfter)
		}
		if got := detailOf(t, work.Steps, "clients/"+name); !strings.HasSuffix(got, "; shorter than the spec's 2 days: it ends with client-root on 2026-11-25") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := issueErr(t, dir, specOf(t, 1, "  pki: {rootLifetime: 100h, issuingLifetime: 100h, leafLifetime: 60h}\n"), testNow().Add(101*time.Hour)); err == nil {
		t.Error("an issuer that has ended signed")
	}
}

// detailOf is the detail of the step about a certificate.
func detailOf(t testing.TB, steps []Step, name string) string {
	t.Helper()
	at := slices.IndexFunc(steps, func(s Step) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("no step about %s: %+v", name, steps)
	}
	return steps[at].Detail
}

// loseAuthority removes the symlink of an authority and the version that it leads to: without the version,
// the next run would make the symlink again.
func loseAuthority(t *testing.T, path string) {
	t.Helper()
	version, err := os.Readlink(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(filepath.Dir(path), version))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is damaged or not as planned is named, and nothing is written over it.
func TestRefusals(t *testing.T) {
	authority := filepath.Join("authorities", ClientIssuing)
	cases := map[string]struct {
		breakIt func(t *testing.T, dir string)
		now     time.Time
		want    string
	}{
		"CA key of another CA": {func(t *testing.T, dir string) {
			copyFile(t, filepath.Join(dir, "authorities", ServerIssuing, "ca.key"), filepath.Join(dir, authority, "ca.key"))
		}, testNow(), "client-issuing/ca.crt: does not belong to its key"},
		"expired CA":    {func(*testing.T, string) {}, testNow().Add(9000 * time.Hour), "is valid from"},
		"future CA":     {func(*testing.T, string) {}, testNow().Add(-time.Hour), "is valid from"},
		"empty CA":      {func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, authority, "ca.crt"), nil) }, testNow(), "client-issuing/ca.crt: the file is empty"},
		"truncated CA":  {func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, authority, "ca.crt"), 300) }, testNow(), "cut short"},
		"huge CA":       {func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, authority, "ca.crt"), 8<<20) }, testNow(), "larger than"},
		"truncated key": {func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, authority, "ca.key"), 100) }, testNow(), "ca.key: PEM block 1 is cut short"},
		"key without certificate": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "nodes", "etcd-0", "pki", "peer.crt")); err != nil {
				t.Fatal(err)
			}
		}, testNow(), "peer.key exists without its certificate; keys are never overwritten"},
		"CA key without certificate": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, authority, "ca.crt")); err != nil {
				t.Fatal(err)
			}
		}, testNow(), "client-issuing/ca.crt is missing"},
		"readable key": {func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, authority, "ca.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, testNow(), "chmod 600"},
		"key in place of a certificate": {func(t *testing.T, dir string) {
			copyFile(t, filepath.Join(dir, authority, "ca.key"), filepath.Join(dir, authority, "ca.crt"))
		}, testNow(), "a private key, want a certificate"},
		"CA of another store": {func(t *testing.T, dir string) {
			other := filepath.Join(t.TempDir(), "other")
			issue(t, other, specOf(t, 1, ""), testNow())
			for _, name := range []string{"ca.crt", "ca.key"} {
				copyFile(t, filepath.Join(other, authority, name), filepath.Join(dir, authority, name))
			}
		}, testNow(), "is not signed by"},
		"lost root": {func(t *testing.T, dir string) {
			loseAuthority(t, filepath.Join(dir, "authorities", PeerRoot))
		}, testNow(), "authorities/peer-root/ca.crt is missing, but peer-issuing was issued below it; restore it"},
		"lost issuing CA": {func(t *testing.T, dir string) {
			loseAuthority(t, filepath.Join(dir, authority))
		}, testNow(), "client-issuing/ca.crt is missing, but clients/kube-apiserver was issued below it"},
		"edited ledger": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, "ledger.jsonl")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, path, bytes.Replace(data, []byte(`"role":"ca"`), []byte(`"role":"cb"`), 1))
			if err := os.Rename(filepath.Join(dir, "clients", "auditor"), filepath.Join(dir, "clients", "moved")); err != nil {
				t.Fatal(err)
			}
		}, testNow(), "ledger.jsonl:2: it does not have the hash of the line before it"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			issue(t, dir, specOf(t, 1, ""), testNow())
			tc.breakIt(t, dir)
			before := tree(t, dir)
			_, err := issueErr(t, dir, specOf(t, 1, ""), tc.now)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY-----") {
				t.Error("a key is in the error")
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
		})
	}
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, to, data)
}

func TestForeignFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	other, err := cluster.Read("cluster.yaml", strings.NewReader(strings.Replace(string(specOf(t, 1, "").YAML), "name: test", "name: other", 1)))
	if err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		dir string
		c   *cluster.Cluster
	}{
		"another cluster":   {dir, other},
		"another hierarchy": {dir, specOf(t, 1, "  pki: {hierarchy: single}\n")},
		"no store":          {full, other},
	} {
		before := tree(t, tc.dir)
		if _, err := issueErr(t, tc.dir, tc.c, testNow()); !errors.Is(err, ErrForeignStore) {
			t.Errorf("%s: got %v", name, err)
		}
		if diff := cmp.Diff(before, tree(t, tc.dir)); diff != "" {
			t.Errorf("%s: changed:\n%s", name, diff)
		}
	}
}

// Names that the spec changed make a certificate due; issuing says so and keeps the key.
func TestChangedNamesAreDue(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	changed, err := cluster.Read("cluster.yaml", bytes.NewReader(bytes.Replace(specOf(t, 1, "").YAML, []byte("10.0.0.11"), []byte("10.0.0.99"), 1)))
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	work := issue(t, dir, changed, testNow())
	if !work.Due() || !work.Nothing() {
		t.Errorf("%+v", work.Steps)
	}
	after := tree(t, dir)
	delete(before, SpecName)
	delete(after, SpecName)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
}

func TestTwoAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := issueErr(t, dir, c, testNow()); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("got %v", err)
	}
}

func TestCancelled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 3, "")
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	work, err := store.Survey(t.Context(), NewPlan(c), testNow(), Renewal{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Issue(ctx, work, c.YAML, IssueConfig{Now: testNow()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if entries, err := ReadLedger(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d ledger lines, %v", len(entries), err)
	}
}

func TestOpenSSLAgrees(t *testing.T) {
	c := specOf(t, 3, "  clients: [{name: backup, role: backup}]\n")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, time.Now())
	checkOpenSSL(t, dir, c, time.Now())
}

// checkOpenSSL wants openssl's strictest verification to accept every leaf of a store in
// its roles at the given time, and to refuse it in the others.
func checkOpenSSL(t *testing.T, dir string, c *cluster.Cluster, now time.Time) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed; .ci/run installs it")
	}
	purposes := map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "sslserver", x509.ExtKeyUsageClientAuth: "sslclient"}
	plan := NewPlan(c)
	for _, b := range plan.Bundles {
		for _, l := range b.Leaves {
			leaf := filepath.Join(dir, b.Path, l.CertFile)
			// openssl wants a chain to end at a root that signs itself.
			root := l.Root
			if issuer := plan.authority(root).Issuer; issuer != "" {
				root = issuer
			}
			for _, eku := range bothAuth {
				out, err := exec.Command(openssl, "verify", "-x509_strict", "-attime", fmt.Sprint(now.Unix()), "-CAfile", filepath.Join(dir, "authorities", root, "ca.crt"),
					"-untrusted", leaf, "-purpose", purposes[eku], leaf).CombinedOutput()
				if want := slices.Contains(l.EKUs, eku); (err == nil) != want {
					t.Errorf("%s as %s: want valid %v\n%s", l.Name, purposes[eku], want, out)
				}
			}
		}
	}
}
