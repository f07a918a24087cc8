package pki

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/etcdsec/etcdsec/cluster"
)

// protectErr runs a bootstrap that stores the roots' keys in some way.
func protectErr(t *testing.T, dir string, c *cluster.Cluster, keep RootKeys, access KeyAccess) (*Survey, error) {
	t.Helper()
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	store.RootKeys, store.Keys = keep, access
	w, err := store.Survey(t.Context(), NewPlan(c), testNow(), Renewal{})
	if err != nil {
		return nil, err
	}
	return w, store.Issue(t.Context(), w, c.YAML, IssueConfig{Now: testNow()})
}

func protect(t *testing.T, dir string, c *cluster.Cluster, keep RootKeys, access KeyAccess) string {
	t.Helper()
	w, err := protectErr(t, dir, c, keep, access)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(w.Steps, func(s Step) bool { return s.Name == ClientRoot })
	return string(w.Steps[i].Action) + " " + w.Steps[i].Detail
}

func newIdentity(t *testing.T) (identity []byte, keep RootKeys) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return []byte(id.String()), RootKeys{Recipients: []string{id.Recipient().String()}}
}

// formsOf returns every file of a store with a key of the client root, in any form.
func formsOf(t *testing.T, dir string, c *cluster.Cluster) []string {
	t.Helper()
	store := &Store{Dir: dir}
	cas, err := store.loadAuthorities(NewPlan(c))
	if err != nil {
		t.Fatal(err)
	}
	forms, err := store.findRootKey(cas[ClientRoot])
	if err != nil {
		t.Fatal(err)
	}
	return forms.names(cas[ClientRoot].Authority)
}

func TestRootKeyIsDestroyedInEveryForm(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	_, encrypt := newIdentity(t)
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	plain := readFile(t, filepath.Join(dir, "authorities", ClientRoot, caKeyName))
	cases := map[string]func(dir string){
		"plain":     func(string) {},
		"encrypted": func(dir string) { protect(t, dir, c, encrypt, KeyAccess{}) },
		"both": func(dir string) {
			protect(t, dir, c, encrypt, KeyAccess{})
			put(t, dir, "authorities/client-root/ca.key", plain)
		},
		"other name":     func(dir string) { put(t, dir, "kubernetes/notes.txt", plain) },
		"former version": func(dir string) { put(t, dir, "authorities/.client-root.0/ca.key", plain) },
		"odd version":    func(dir string) { put(t, dir, "authorities/.client-root.00/ca.key", plain) },
		"DER": func(dir string) {
			block, _ := pem.Decode(plain)
			put(t, dir, "authorities/.old/key", block.Bytes)
		},
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, dir)
			prepare(dir)
			before := formsOf(t, dir, c)
			did := protect(t, dir, c, RootKeys{Destroy: true}, KeyAccess{})
			if len(before) == 0 || !strings.HasPrefix(did, "protect its key destroyed: ") {
				t.Errorf("%q, of %q", did, before)
			}
			for _, file := range before {
				if !strings.Contains(did, file) {
					t.Errorf("%q does not name %s", did, file)
				}
			}
			if left := formsOf(t, dir, c); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if did := protect(t, dir, c, RootKeys{Destroy: true}, KeyAccess{}); did != "keep its key is not in this store" {
				t.Errorf("the second run: %q", did)
			}
		})
	}
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRootKeyRecipientsChange(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	dir := filepath.Join(t.TempDir(), "store")
	first, toFirst := newIdentity(t)
	second, toSecond := newIdentity(t)
	protect(t, dir, c, toFirst, KeyAccess{})
	if did := protect(t, dir, c, toFirst, KeyAccess{}); did != "keep " {
		t.Errorf("the same recipient: %q", did)
	}
	if _, err := protectErr(t, dir, c, toSecond, KeyAccess{}); err == nil || !strings.Contains(err.Error(), "--root-key-identity") {
		t.Errorf("another recipient without the identity: %v", err)
	}
	if did := protect(t, dir, c, toSecond, KeyAccess{Identities: first}); !strings.HasPrefix(did, "protect its key encrypted anew") {
		t.Errorf("another recipient: %q", did)
	}
	opens := func(identity []byte) (n int) {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Name() == encryptedKeyName {
				if _, err := (KeyAccess{Identities: identity}).open(readFile(t, path)); err == nil {
					n++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if old, now := opens(first), opens(second); old != 0 || now != 2 {
		t.Errorf("the former identity opens %d files, the new one %d", old, now)
	}
	if did := protect(t, dir, c, toSecond, KeyAccess{Identities: second}); did != "keep " {
		t.Errorf("again: %q", did)
	}
	if found := verify(t, dir, c, testNow()); len(found) > 0 {
		t.Errorf("verify: %v", found)
	}
	// By a passphrase, and back.
	words, other := []byte("tractor lantern giraffe umbrella"), []byte("umbrella giraffe lantern tractor")
	protect(t, dir, c, RootKeys{Passphrase: words}, KeyAccess{Identities: second, Passphrase: words})
	if _, err := protectErr(t, dir, c, RootKeys{Passphrase: other}, KeyAccess{Passphrase: other}); err == nil || !strings.Contains(err.Error(), "to change a passphrase") {
		t.Errorf("another passphrase: %v", err)
	}
	protect(t, dir, c, toFirst, KeyAccess{Passphrase: words})
	if n := opens(first); n != 2 {
		t.Errorf("the identity opens %d files", n)
	}
}

func TestAccessThatOpensNothing(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	identity, keep := newIdentity(t)
	for name, tc := range map[string]struct {
		keep   RootKeys
		access KeyAccess
		want   string
	}{
		"identity":   {RootKeys{}, KeyAccess{Identities: identity}, "--root-key-identity opens nothing"},
		"passphrase": {keep, KeyAccess{Passphrase: []byte("x")}, "--root-key-passphrase-file opens nothing"},
	} {
		if _, err := protectErr(t, dir, c, tc.keep, tc.access); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if did := protect(t, dir, c, keep, KeyAccess{Identities: identity}); !strings.HasPrefix(did, "protect its key encrypted") {
		t.Error(did)
	}
}

func TestVerifyFindsEveryCopyOfARootKey(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	plain := readFile(t, filepath.Join(dir, "authorities", ClientRoot, caKeyName))
	_, keep := newIdentity(t)
	protect(t, dir, c, keep, KeyAccess{})
	for _, name := range []string{
		"authorities/.client-root.1/ca.key", "authorities/.client-root.0/ca.key", "authorities/.client-root.01/ca.key",
		"authorities/.hidden/x", "authorities/.ca.key.tmp", "kubernetes/notes.txt", "authorities/client-root/ca.key",
		"authorities/client-root/ca.key.old", "clients/auditor/client.key.bak",
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			dir := copyOf(t, dir)
			put(t, dir, name, plain)
			if name != "authorities/client-root/ca.key" { // its mode alone would be refused
				if err := os.Chmod(filepath.Join(dir, filepath.FromSlash(name)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			found := verify(t, dir, c, testNow())
			if !slices.ContainsFunc(found, func(f Finding) bool { return strings.HasPrefix(name, f.Path) && strings.Contains(f.Problem, "key") }) {
				t.Errorf("found %v", found)
			}
			if did := protect(t, dir, c, keep, KeyAccess{}); !strings.HasPrefix(did, "protect") {
				t.Error(did)
			}
			if left := formsOf(t, dir, c); len(left) != 1 || left[0] != "authorities/client-root/ca.key.age" {
				t.Errorf("left: %q", left)
			}
			if found := verify(t, dir, c, testNow()); len(found) > 0 {
				t.Errorf("after its fix: %v", found)
			}
		})
	}
}

// The last copy of a root's key is removed only on demand.
func TestOnlyCopyOfARootKey(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	from, to := filepath.Join(dir, "authorities", ClientRoot, caKeyName), filepath.Join(dir, "kubernetes/notes.txt")
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	for _, f := range verify(t, dir, c, testNow()) {
		if f.Path == "kubernetes/notes.txt" && slices.ContainsFunc(f.Fix, func(l Line) bool { return l.Paste }) {
			t.Errorf("the fix is a command: %s", f.Fix)
		}
	}
	_, keep := newIdentity(t)
	_, err := protectErr(t, dir, c, keep, KeyAccess{})
	if err == nil || !strings.Contains(err.Error(), to) || !strings.Contains(err.Error(), from) {
		t.Errorf("encrypting: %v", err)
	}
	if left := formsOf(t, dir, c); len(left) != 1 || left[0] != "kubernetes/notes.txt" {
		t.Errorf("left: %q", left)
	}
	if did := protect(t, dir, c, RootKeys{Destroy: true}, KeyAccess{}); !strings.Contains(did, "destroyed: kubernetes/notes.txt") {
		t.Error(did)
	}
}
