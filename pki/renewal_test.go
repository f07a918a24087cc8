package pki

import (
	"crypto"
	"crypto/x509"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

const day = 24 * time.Hour

func renew(t testing.TB, dir string, c *cluster.Cluster, now time.Time, renewal Renewal) *Survey {
	t.Helper()
	work, err := renewErr(t, dir, c, now, renewal)
	if err != nil {
		t.Fatal(err)
	}
	return work
}

// leavesOf are the leaves that a store has, by name.
func leavesOf(t testing.TB, dir string, c *cluster.Cluster) map[string]*x509.Certificate {
	t.Helper()
	leaves := map[string]*x509.Certificate{}
	for _, b := range NewPlan(c).Bundles {
		for _, l := range b.Leaves {
			leaves[l.Name] = readChain(t, filepath.Join(dir, b.Path, l.CertFile))[0]
		}
	}
	return leaves
}

// checkSound wants a store in which nothing is due and every leaf verifies.
func checkSound(t testing.TB, dir string, c *cluster.Cluster, now time.Time) {
	t.Helper()
	before := tree(t, dir)
	work := renew(t, dir, c, now, Renewal{Due: true})
	if !work.Nothing() || work.Due() {
		t.Errorf("not as planned: %+v", work.Steps)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("a survey with nothing to do changed:\n%s", diff)
	}
}

func renewed(before, after map[string]*x509.Certificate) (changed, newKeys []string) {
	for _, name := range sortedKeys(before) {
		if !before[name].Equal(after[name]) {
			changed = append(changed, name)
		}
		if !samePublicKey(before[name].PublicKey, after[name].PublicKey) {
			newKeys = append(newKeys, name)
		}
	}
	return changed, newKeys
}

func TestRenewWhatIsDue(t *testing.T) {
	t.Parallel()
	c := specOf(t, 3, "")
	all := sortedKeys(leavesOfPlan(c))
	cases := map[string]struct {
		after   time.Duration
		renewal Renewal
		want    []string
		newKeys []string
	}{
		"fresh":                 {day, Renewal{Due: true}, nil, nil},
		"just before a third":   {59 * day, Renewal{Due: true}, nil, nil},
		"a third is left":       {60 * day, Renewal{Due: true}, all, nil},
		"expired":               {91 * day, Renewal{Due: true}, all, nil},
		"all":                   {day, Renewal{All: true}, all, nil},
		"all with new keys":     {day, Renewal{All: true, NewKey: true}, all, all},
		"a member":              {day, Renewal{Names: []string{"etcd-1"}}, []string{"etcd-1/peer", "etcd-1/server"}, nil},
		"a leaf":                {day, Renewal{Names: []string{"etcd-1/peer"}, NewKey: true}, []string{"etcd-1/peer"}, []string{"etcd-1/peer"}},
		"a client":              {day, Renewal{Names: []string{"auditor"}}, []string{"clients/auditor"}, nil},
		"a client by its path":  {day, Renewal{Names: []string{"clients/auditor"}}, []string{"clients/auditor"}, nil},
		"nothing was asked for": {70 * day, Renewal{}, nil, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			issue(t, dir, c, testNow())
			before := leavesOf(t, dir, c)
			now := testNow().Add(tc.after)
			renew(t, dir, c, now, tc.renewal)
			changed, newKeys := renewed(before, leavesOf(t, dir, c))
			if diff := cmp.Diff(tc.want, changed); diff != "" {
				t.Errorf("renewed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.newKeys, newKeys); diff != "" {
				t.Errorf("new keys (-want +got):\n%s", diff)
			}
			if len(tc.want) == len(all) {
				checkSound(t, dir, c, now)
			}
			entries, err := ReadLedger(dir)
			if err != nil || len(entries) != 5+len(all)+len(tc.want) {
				t.Errorf("%d ledger lines, %v", len(entries), err)
			}
		})
	}
}

func leavesOfPlan(c *cluster.Cluster) map[string]bool {
	names := map[string]bool{}
	for _, b := range NewPlan(c).Bundles {
		for _, l := range b.Leaves {
			names[l.Name] = true
		}
	}
	return names
}

// kubeadm copies the names of the old certificate when it renews (kubernetes/kubeadm#1447).
func TestRenewRecomputesNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	old := specOf(t, 3, "")
	issue(t, dir, old, testNow())
	before := leavesOf(t, dir, old)
	moved := reload(t, strings.Replace(string(old.YAML), "10.0.0.12", "10.0.0.99", 1))
	now := testNow().Add(day)
	renew(t, dir, moved, now, Renewal{Due: true})
	after := leavesOf(t, dir, moved)
	changed, newKeys := renewed(before, after)
	if diff := cmp.Diff([]string{"etcd-1/peer", "etcd-1/server"}, changed); diff != "" || newKeys != nil {
		t.Errorf("renewed (-want +got):\n%s\nnew keys: %v", diff, newKeys)
	}
	names, _ := namesOf(after["etcd-1/server"])
	if got := strings.Join(names.Strings(), " "); !strings.Contains(got, "10.0.0.99") || strings.Contains(got, "10.0.0.12") {
		t.Errorf("names: %s", got)
	}
	checkSound(t, dir, moved, now)
}

func reload(t testing.TB, yaml string) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The version before is kept, whole, for a rollback.
func TestRenewKeepsThePreviousVersion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	node := filepath.Join(dir, "nodes", "etcd-0")
	before := tree(t, filepath.Join(node, ".pki.1"))
	renew(t, dir, c, testNow(), Renewal{All: true, NewKey: true})
	if diff := cmp.Diff(before, tree(t, filepath.Join(node, ".pki.1"))); diff != "" {
		t.Errorf("the previous version changed:\n%s", diff)
	}
	if target, err := os.Readlink(filepath.Join(node, "pki")); err != nil || target != ".pki.2" {
		t.Errorf("%s %v", target, err)
	}
}

// A leaf whose key is on its node is renewed for the key that its certificate names.
func TestRenewWithoutTheKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	before := leavesOf(t, dir, c)
	if err := os.Remove(filepath.Join(dir, "nodes", "etcd-0", "pki", "peer.key")); err != nil {
		t.Fatal(err)
	}
	for _, backend := range []Backend{BackendCfssl, BackendStd} {
		renew(t, dir, c, testNow(), Renewal{All: true})
		_, newKeys := renewed(before, leavesOf(t, dir, c))
		if newKeys != nil {
			t.Errorf("%s: new keys for %v", backend, newKeys)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "nodes", "etcd-0", "pki", "peer.key")); err == nil {
		t.Error("a key appeared")
	}
	_, err := renewErr(t, dir, c, testNow(), Renewal{Names: []string{"etcd-0"}, NewKey: true})
	if err == nil || !strings.Contains(err.Error(), "etcd-0/peer: its key is only on its node") {
		t.Errorf("got %v", err)
	}
}

func TestJitterSpreads(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 9, "")
	issue(t, dir, c, testNow())
	left := len(leavesOfPlan(c))
	var onDays []int
	for d := range 61 {
		work := renew(t, dir, c, testNow().Add(time.Duration(d)*day), Renewal{Due: true, Jitter: 20 * day})
		if n := work.count(); n > 0 {
			onDays = append(onDays, n)
			left -= n
		}
	}
	// Twenty-one leaves over twenty days: they fall on fewer than five about never.
	if left != 0 || len(onDays) < 5 {
		t.Errorf("renewed %v on the days with any; %d left", onDays, left)
	}
}

// A jitter longer than the leaves live makes no leaf due that was signed just now.
func TestJitterIsBounded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 3, "  pki: {leafLifetime: 24h}\n")
	issue(t, dir, c, testNow())
	renewal := Renewal{Due: true, Jitter: 72 * time.Hour}
	if work := renew(t, dir, c, testNow().Add(7*time.Hour), renewal); work.count() != 0 {
		t.Errorf("%d renewed before a third of their life was over", work.count())
	}
	if work := renew(t, dir, c, testNow().Add(17*time.Hour), renewal); work.count() != len(leavesOfPlan(c)) {
		t.Errorf("%d renewed when all were due", work.count())
	}
	if work := renew(t, dir, c, testNow().Add(17*time.Hour), renewal); work.count() != 0 {
		t.Errorf("%d renewed again at once", work.count())
	}
}

func TestRenewRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		after   time.Duration
		renewal Renewal
		want    string
	}{
		"a name that is none":   {day, Renewal{Names: []string{"etcd-7", "clients"}}, `no member, client or leaf "etcd-7"`},
		"an expired issuer":     {366 * day, Renewal{}, "etcdsec pki recover"},
		"no key for its issuer": {366 * day, Renewal{Due: true}, "etcdsec pki recover"},
		"another's key":         {day, Renewal{All: true}, "nodes/etcd-0/pki/server.key is not the key of its certificate; bring the right one back, or give --new-key"},
		"a CA from the future":  {-day, Renewal{Due: true, Authorities: true}, "is this machine's clock right?"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			c := specOf(t, 1, "")
			issue(t, dir, c, testNow())
			if name == "another's key" {
				stolen, err := os.ReadFile(filepath.Join(dir, "clients/auditor/client.key"))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "nodes/etcd-0/pki/server.key"), stolen, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if name == "no key for its issuer" {
				takeRootKeys(t, dir)
			}
			before := tree(t, dir)
			_, err := renewErr(t, dir, c, testNow().Add(tc.after), tc.renewal)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
		})
	}
}

// A member that left the spec is no name that an issuing CA may sign any more, once the CA
// was certified anew.
func TestRecoverNarrowsConstraints(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 3, ""), testNow())
	c := specOf(t, 2, "")
	wide := func() (problems []string) {
		for _, f := range verify(t, dir, c, testNow()) {
			if strings.Contains(f.Problem, "name constraints") {
				problems = append(problems, f.Path)
			}
		}
		return problems
	}
	if diff := cmp.Diff([]string{"authorities/peer-issuing/ca.crt", "authorities/server-issuing/ca.crt"}, wide()); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	renew(t, dir, c, testNow(), Renewal{All: true, Authorities: true})
	if left := wide(); left != nil {
		t.Errorf("after: %v", left)
	}
	checkSound(t, dir, c, testNow())
}

// Everything expired: the roots' keys bring it all back, and only what was expired or due
// gets a new certificate, each for the key it had.
func TestRecover(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		after time.Duration
		want  []string // authorities
	}{
		"leaves":         {91 * day, nil},
		"issuing CAs":    {400 * day, []string{ServerIssuing, ClientIssuing, PeerIssuing}},
		"roots and all":  {11 * 365 * day, []string{ClientRoot, ServerIssuing, ClientIssuing, PeerRoot, PeerIssuing}},
		"nothing at all": {day, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			c := specOf(t, 3, "")
			issue(t, dir, c, testNow())
			keys := map[string]crypto.PublicKey{}
			for _, a := range NewPlan(c).Authorities {
				keys[a.Name] = readChain(t, filepath.Join(dir, a.Path(), "ca.crt"))[0].PublicKey
			}
			now := testNow().Add(tc.after)
			work := renew(t, dir, c, now, Renewal{All: true, Authorities: true})
			var got []string
			for _, s := range work.Steps {
				if s.Role == "ca" && s.Action == ActionRenew {
					got = append(got, s.Name)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("authorities renewed (-want +got):\n%s", diff)
			}
			for _, a := range NewPlan(c).Authorities {
				if !samePublicKey(keys[a.Name], readChain(t, filepath.Join(dir, a.Path(), "ca.crt"))[0].PublicKey) {
					t.Errorf("%s has a new key", a.Name)
				}
				if _, err := os.Stat(filepath.Join(dir, a.Path(), "ca.key")); err != nil {
					t.Error(err)
				}
			}
			checkSound(t, dir, c, now)
		})
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
