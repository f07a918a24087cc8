package pki

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// copyOf copies a store with its symlinks and modes.
func copyOf(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	copyTree(t, from, to)
	return to
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	restoreModes(t, from, to)
}

// signsNothing checks that every verb that signs refuses a store, with one error, and changes nothing.
func signsNothing(t *testing.T, dir string, c *cluster.Cluster, mendable bool, want string) {
	t.Helper()
	before := tree(t, dir)
	check := func(verb string, err error) {
		t.Helper()
		e, ok := errors.AsType[*DisagreementError](err)
		if !ok || e.Mendable != mendable || !strings.Contains(e.Error(), want) {
			t.Errorf("%s: got %v, want %q, mendable %v", verb, err, want, mendable)
		}
	}
	for verb, renewal := range map[string]Renewal{
		"bootstrap": {}, "renew": {Due: true}, "renew --all": {All: true}, "renew NAME": {Names: []string{"etcd-0"}},
		"recover": {All: true, Authorities: true}, "lists": {ListsOnly: true},
	} {
		_, err := renewErr(t, dir, c, testNow(), renewal)
		check(verb, err)
	}
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.ApplyRevocation(t.Context(), c, Revocation{Which: "auditor", Reason: "unspecified", Current: true}, testNow(), false)
	check("revoke", err)
	check("import", store.CheckAdoption(NewPlan(c), Adoption{}, testNow()))
	_, err = store.Reconcile(c, testNow(), true)
	store.Close()
	if mendable != (err == nil) {
		t.Errorf("recover --ledger: %v", err)
	}
	after := tree(t, dir)
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("%s changed", name)
		}
	}
	found := verify(t, dir, c, testNow())
	if !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.Path+" "+f.Problem, want) }) {
		t.Errorf("verify does not say %q: %v", want, found)
	}
}

func TestAuthoritiesOfAnotherStoreSignNothing(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	dir, other := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "other")
	issue(t, dir, c, testNow())
	issue(t, other, c, testNow())
	const want = "authorities/client-root/ca.crt is not in the ledger"

	t.Run("all of them", func(t *testing.T) {
		dir := copyOf(t, dir)
		if err := os.RemoveAll(filepath.Join(dir, "authorities")); err != nil {
			t.Fatal(err)
		}
		copyTree(t, filepath.Join(other, "authorities"), filepath.Join(dir, "authorities"))
		signsNothing(t, dir, c, false, want)
	})
	t.Run("no ledger", func(t *testing.T) {
		dir := copyOf(t, dir)
		for _, name := range []string{ledgerName, headName} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		signsNothing(t, dir, c, true, want)
		reconcile(t, dir, c)
		if found := verify(t, dir, c, testNow()); slices.ContainsFunc(found, func(f Finding) bool { return !strings.HasSuffix(f.Path, caKeyName) }) {
			t.Errorf("after recover --ledger: %v", found)
		}
		renew(t, dir, c, testNow(), Renewal{All: true})
	})
}

func reconcile(t *testing.T, dir string, c *cluster.Cluster) ReconcileResult {
	t.Helper()
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	result, err := store.Reconcile(c, testNow(), false)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// A leaf is not renewed beside a trust file with which it does not verify; all others are.
func TestNoLeafBesideAnotherTrust(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	dir, other := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "other")
	issue(t, dir, c, testNow())
	issue(t, other, c, testNow())
	foreign, err := os.ReadFile(filepath.Join(other, "clients", "auditor", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clients", "auditor", "ca.crt"), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	before := readChain(t, filepath.Join(dir, "clients", "auditor", "client.crt"))[0]
	work := renew(t, dir, c, testNow(), Renewal{All: true})
	for _, s := range work.Steps {
		if s.Role == RoleCA {
			continue
		}
		if want := map[bool]Action{true: ActionDue, false: ActionRenew}[s.Name == "clients/auditor"]; s.Action != want {
			t.Errorf("%s: %s %s, want %s", s.Name, s.Action, s.Detail, want)
		}
	}
	if after := readChain(t, filepath.Join(dir, "clients", "auditor", "client.crt"))[0]; !after.Equal(before) {
		t.Error("clients/auditor was renewed")
	}
}

// A ledger that was restored from a copy before a revocation stops signing. The serial number in the
// list comes back into the ledger, and no number of a list is used twice.
func TestLedgerOlderThanTheLists(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "  pki: {crl: true}\n")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	former := map[string][]byte{}
	for _, name := range []string{ledgerName, headName} {
		former[name] = readFile(t, filepath.Join(dir, name))
	}
	restore := func(dir string) {
		t.Helper()
		for name, data := range former {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	stolen := readChain(t, filepath.Join(dir, "clients", "auditor", "client.crt"))[0]
	serial := SerialString(stolen.SerialNumber)
	revoke(t, dir, c, "auditor")

	t.Run("known certificate", func(t *testing.T) {
		dir := copyOf(t, dir)
		restore(dir)
		signsNothing(t, dir, c, true, "revokes serial number "+serial)
		result := reconcile(t, dir, c)
		if !slices.ContainsFunc(result.Recorded, func(r Reconciled) bool {
			return r.Event == EventRevoke && r.Serial == serial && r.Name == "clients/auditor" && r.Reason == ReasonKeyCompromise
		}) {
			t.Errorf("recorded %+v", result.Recorded)
		}
		checkNextList(t, dir, c, serial)
		work := renew(t, dir, c, testNow(), Renewal{Due: true})
		if i := slices.IndexFunc(work.Steps, func(s Step) bool { return s.Name == "clients/auditor" }); !strings.Contains(work.Steps[i].Detail, "new key") {
			t.Errorf("the compromised key is used again: %+v", work.Steps[i])
		}
	})
	t.Run("only a member has the list", func(t *testing.T) {
		dir := copyOf(t, dir)
		restore(dir)
		for _, name := range []string{crlName, crlPEMName} {
			if err := os.Remove(filepath.Join(dir, "authorities", ClientIssuing, name)); err != nil {
				t.Fatal(err)
			}
		}
		signsNothing(t, dir, c, true, "revokes serial number "+serial)
	})
	t.Run("unknown certificate", func(t *testing.T) {
		dir := copyOf(t, dir)
		renew(t, dir, c, testNow(), Renewal{Names: []string{"auditor"}, NewKey: true})
		second := SerialString(readChain(t, filepath.Join(dir, "clients", "auditor", "client.crt"))[0].SerialNumber)
		revoke(t, dir, c, "auditor")
		renew(t, dir, c, testNow(), Renewal{Due: true})
		restore(dir)
		signsNothing(t, dir, c, true, "clients/auditor/client.crt is not in the ledger")
		reconcile(t, dir, c)
		checkNextList(t, dir, c, serial, second)
	})
}

// checkNextList signs lists anew and checks what is in them, and that their numbers are new.
func checkNextList(t *testing.T, dir string, c *cluster.Cluster, serials ...string) {
	t.Helper()
	store := &Store{Dir: dir}
	plan := NewPlan(c)
	numbers := func() (all []foundList) {
		cas, err := store.loadAuthorities(plan)
		if err != nil {
			t.Fatal(err)
		}
		return store.verifiedLists(plan, cas)
	}
	before := numbers()
	at := testNow().Add(plan.LeafLifetime * 2 / 3)
	renew(t, dir, c, at, Renewal{ListsOnly: true})
	after := numbers()
	for _, list := range after {
		for _, old := range before {
			if list.Number.Cmp(old.Number) <= 0 {
				t.Errorf("%s has the number %s again, after %s", list.path, list.Number, old.Number)
			}
		}
		if list.of.Root != ClientRoot {
			continue
		}
		for _, serial := range serials {
			found := false
			for _, r := range list.RevokedCertificateEntries {
				found = found || SerialString(r.SerialNumber) == serial
			}
			if !found {
				t.Errorf("%s does not have %s any more", list.path, serial)
			}
		}
	}
}

func revoke(t *testing.T, dir string, c *cluster.Cluster, which string) {
	t.Helper()
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.ApplyRevocation(t.Context(), c, Revocation{Which: which, Reason: ReasonKeyCompromise, Current: true}, testNow(), false); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestVerifyFindsAReusedSerialNumber(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	l, err := readLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	leaf := readChain(t, filepath.Join(dir, "clients", "auditor", "client.crt"))[0]
	e := newEntry("clients/other", "monitoring", reasonNew, "", readChain(t, filepath.Join(dir, "nodes", "etcd-0", "pki", "server.crt"))[0], testNow())
	e.Serial, e.CertHash = SerialString(leaf.SerialNumber), strings.Repeat("0", 64)
	if len(l.entries) == 0 || appendLedger(dir, []Entry{e}) != nil {
		t.Fatal("no ledger")
	}
	found := verify(t, dir, c, testNow())
	if !slices.ContainsFunc(found, func(f Finding) bool {
		return f.Path == "clients/auditor/client.crt" && strings.Contains(f.Problem, "which the ledger has for another certificate")
	}) {
		t.Errorf("found %v", found)
	}
}

func TestLedgerLinesAreStrict(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	line, _, _ := bytes.Cut(readFile(t, filepath.Join(dir, ledgerName)), []byte("\n"))
	edited := func(old, with string) []byte {
		after := bytes.Replace(line, []byte(old), []byte(with), 1)
		if bytes.Equal(after, line) {
			t.Fatalf("no %q in %s", old, line)
		}
		return after
	}
	cases := map[string]struct {
		line []byte
		want string
	}{
		"an object behind it": {append(slices.Clone(line), `{"event":"revoke"}`...), "not in the form"},
		"text behind it":      {append(slices.Clone(line), ` x`...), "not in the form"},
		"a space behind it":   {append(slices.Clone(line), ' '), "not in the form"},
		"an unknown event":    {edited(`"event":"issue"`, `"event":"unissue"`), "unknown event"},
		"no event":            {edited(`"event":"issue",`, ``), "unknown event"},
		"a doubled key":       {edited(`"event":"issue"`, `"event":"revoke","event":"issue"`), "not in the form"},
		"a key in capitals":   {edited(`"event":"issue"`, `"event":"issue","EVENT":"revoke"`), ""},
		"null":                {[]byte("null"), "unknown event"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parseLedger(append(slices.Clone(tc.line), '\n'))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := parseEntry(line); err != nil {
		t.Error(err)
	}
}

// A spec that another run changed between the reading and the lock is not written back.
func TestSpecChangedBeforeTheLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	small, large := specOf(t, 1, ""), specOf(t, 2, "")
	issue(t, dir, small, testNow())
	own := filepath.Join(dir, SpecName)
	slow, err := cluster.Load(own)
	if err != nil {
		t.Fatal(err)
	}
	issue(t, dir, large, testNow().Add(time.Minute)) // a bootstrap that adds a member
	store, err := OpenStore(dir, slow)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{own, dir + "/./cluster.yaml", link} {
		if err := store.CheckSpec(slow, from); !errors.Is(err, ErrSpecChanged) {
			t.Errorf("%s: got %v", from, err)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(elsewhere, small.YAML, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{elsewhere, "-"} {
		if err := store.CheckSpec(slow, from); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
}
