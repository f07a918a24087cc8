package pki

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// etcdUser owns the folders of etcd in these tests. No file of this machine needs to belong to it.
var etcdUser = durable.Owner{UID: 65534, GID: 65534}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can work in the folder of another user")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// copiesOf returns the regular files below dir that have the given content.
func copiesOf(t *testing.T, dir string, content []byte) (found []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, content) {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// The set-up of the README: /etc/etcd belongs to etcd's user, and root installs into /etc/etcd/pki. Whatever
// that user plants there, no file of root's gets into its hands, and nothing is written elsewhere.
func TestInstallIntoTheFolderOfEtcd(t *testing.T) {
	needRoot(t)
	b, sources := installable(t)
	secret := []byte("only for root")
	for name, plant := range map[string]func(t *testing.T, pki, vault string){
		"the certificate": func(t *testing.T, pki, vault string) {
			must(t, os.MkdirAll(pki, 0o700))
			must(t, os.Symlink(filepath.Join(vault, "secret"), filepath.Join(pki, b.Leaves[0].CertFile)))
		},
		"the folder": func(t *testing.T, pki, vault string) { must(t, os.Symlink(vault, pki)) },
		"a version": func(t *testing.T, pki, vault string) {
			must(t, os.MkdirAll(pki, 0o700))
			must(t, os.Symlink(vault, filepath.Join(pki, "..v.1")))
			must(t, os.Symlink("..v.1", filepath.Join(pki, "..data")))
		},
		"a file in a version": func(t *testing.T, pki, vault string) {
			must(t, os.MkdirAll(filepath.Join(pki, "..v.1"), 0o700))
			must(t, os.Symlink(filepath.Join(vault, "secret"), filepath.Join(pki, "..v.1", "loot")))
			must(t, os.Symlink("..v.1", filepath.Join(pki, "..data")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			home, vault := filepath.Join(t.TempDir(), "etcd"), t.TempDir()
			must(t, os.Mkdir(home, 0o755))
			must(t, os.Chmod(vault, 0o700))
			must(t, os.WriteFile(filepath.Join(vault, "secret"), secret, 0o600))
			pki := filepath.Join(home, "pki")
			plant(t, pki, vault)
			give(t, home, etcdUser)
			before := tree(t, vault)
			_, err := InstallBundle(b, InstallConfig{Signed: sources[0], Keys: sources[0], Target: pki, Now: testNow()}, false)
			if fault, ok := errors.AsType[*durable.TrustError](err); !ok || fault.Fix == "" {
				t.Errorf("got %v, want the path and what to do", err)
			}
			if found := copiesOf(t, home, secret); len(found) > 0 {
				t.Errorf("the secret is in %q", found)
			}
			if after := tree(t, vault); len(after) != len(before) {
				t.Errorf("root's folder has %v", after)
			}
			if owner, err := durable.OwnerOf(vault); err != nil || owner.UID != 0 {
				t.Errorf("root's folder belongs to %v, %v", owner, err)
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		home := filepath.Join(t.TempDir(), "etcd")
		must(t, os.Mkdir(home, 0o755))
		give(t, home, etcdUser)
		for _, from := range sources {
			_, err := InstallBundle(b, InstallConfig{Signed: from, Keys: from, Target: filepath.Join(home, "pki"), Now: testNow()}, false)
			must(t, err)
		}
		if others := othersIn(t, home, etcdUser); len(others) > 0 {
			t.Errorf("etcd cannot read %q", others)
		}
	})
}

// issueFor issues a store with --owner.
func issueFor(t *testing.T, dir string, c *cluster.Cluster, owner *durable.Owner, renewal Renewal) error {
	t.Helper()
	store, err := OpenStore(dir, c)
	must(t, err)
	defer store.Close()
	work, err := store.Survey(t.Context(), NewPlan(c), testNow(), renewal)
	if err != nil {
		return err
	}
	return store.Issue(t.Context(), work, c.YAML, IssueConfig{Now: testNow(), Owner: owner})
}

// With --owner, bundles in the store belong to etcd's user. What it plants there gets no key of a CA out of
// the store.
func TestRenewHandsNoCAKeyToEtcd(t *testing.T) {
	needRoot(t)
	for name, plant := range map[string]func(t *testing.T, dir, key string){
		"a symlink to the key": func(t *testing.T, dir, key string) {
			must(t, os.Symlink(key, filepath.Join(dir, "nodes/etcd-0/pki/loot")))
		},
		"a relative symlink": func(t *testing.T, dir, _ string) {
			must(t, os.Symlink("../../../authorities/client-root/ca.key", filepath.Join(dir, "nodes/etcd-0/pki/loot")))
		},
		"a hard link": func(t *testing.T, dir, key string) {
			must(t, os.Link(key, filepath.Join(dir, "nodes/etcd-0/pki/loot")))
		},
		"the bundle": func(t *testing.T, dir, key string) {
			must(t, os.Remove(filepath.Join(dir, "nodes/etcd-0/pki")))
			must(t, os.Symlink(filepath.Dir(key), filepath.Join(dir, "nodes/etcd-0/pki")))
		},
		"the node": func(t *testing.T, dir, _ string) {
			must(t, os.RemoveAll(filepath.Join(dir, "nodes/etcd-0")))
			must(t, os.Symlink("../authorities", filepath.Join(dir, "nodes/etcd-0")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			c := specOf(t, 1, "")
			must(t, issueFor(t, dir, c, &etcdUser, Renewal{}))
			key, err := filepath.EvalSymlinks(filepath.Join(dir, "authorities/client-root/ca.key"))
			must(t, err)
			plant(t, dir, key)
			before := copiesOf(t, filepath.Join(dir, "nodes"), readFile(t, key))
			if err := issueFor(t, dir, c, &etcdUser, Renewal{All: true}); err == nil {
				t.Error("what was planted is no error")
			}
			if found := copiesOf(t, filepath.Join(dir, "nodes"), readFile(t, key)); len(found) > len(before) {
				t.Errorf("the key of the root is in %q", found)
			}
			for _, name := range []string{"authorities/client-root", "authorities/client-root/ca.key", "authorities"} {
				if owner, err := durable.OwnerOf(filepath.Join(dir, name)); err != nil || owner.UID != 0 {
					t.Errorf("%s belongs to %v, %v", name, owner, err)
				}
			}
		})
	}
}

// With --owner, what is not of a node or client stays the operator's, and the next run takes the store.
func TestOwnerGetsOnlyNodesAndClients(t *testing.T) {
	needRoot(t)
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	files := []durable.File{{Name: "kubernetes/a", Data: []byte("a")}, {Name: "nodes/etcd-0/b", Data: []byte("b")}}
	for range 2 {
		store, err := OpenStore(dir, c)
		must(t, err)
		_, err = store.Apply(t.Context(), c, Change{Files: files}, IssueConfig{Now: testNow(), Owner: &etcdUser})
		must(t, err)
		store.Close()
	}
	for name, want := range map[string]int{".": 0, "kubernetes": 0, "kubernetes/a": 0, "authorities": 0, SpecName: 0, "nodes/etcd-0/b": etcdUser.UID, "nodes/etcd-0/pki/server.key": etcdUser.UID} {
		if owner, err := durable.OwnerOf(filepath.Join(dir, name)); err != nil || owner.UID != want {
			t.Errorf("%s belongs to %v, %v", name, owner, err)
		}
	}
}

// A ca.key that is a symlink, to a USB stick perhaps, stays one. No verb copies the key into the store.
func TestCAKeyOnAStickStaysThere(t *testing.T) {
	stick, dir := t.TempDir(), filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, withCRL)
	issue(t, dir, c, testNow())
	var keys []string
	for _, name := range []string{ClientRoot, PeerRoot} {
		at := filepath.Join(dir, "authorities", name, "ca.key")
		key := filepath.Join(stick, name+".key")
		must(t, os.Rename(at, key))
		must(t, os.Symlink(key, at))
		keys = append(keys, key)
	}
	check := func(after string) {
		t.Helper()
		for _, key := range keys {
			if found := copiesOf(t, dir, readFile(t, key)); len(found) > 0 {
				t.Errorf("after %s, the key is in %q", after, found)
			}
			if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("after %s: %v, %v", after, info.Mode(), err)
			}
		}
		for _, name := range []string{ClientRoot, PeerRoot} {
			if _, err := ReadKey(filepath.Join(dir, "authorities", name, "ca.key")); err != nil {
				t.Errorf("after %s: %v", after, err)
			}
		}
	}
	renew(t, dir, c, testNow(), Renewal{Authorities: true, All: true})
	check("recover")
	_, err := revokeErr(t, dir, c, Revocation{Which: "etcd-0/server", Reason: ReasonKeyCompromise, Current: true}, testNow())
	must(t, err)
	check("a revocation")
	renew(t, dir, c, testNow(), Renewal{All: true})
	check("renew")
	store, err := OpenStore(dir, c)
	must(t, err)
	defer store.Close()
	found, err := store.Verify(c, testNow())
	must(t, err)
	for _, f := range found {
		if strings.Contains(f.Path, caKeyName) && strings.Contains(f.Problem, "leads") {
			t.Errorf("verify: %s: %s", f.Path, f.Problem)
		}
	}
	store.RootKeys = RootKeys{Destroy: true}
	if _, err := store.Survey(t.Context(), NewPlan(c), testNow(), Renewal{}); err == nil {
		t.Error("a key that is elsewhere is to be destroyed")
	}
}

// stranger is another user than root and etcd's.
var stranger = durable.Owner{UID: 4242, GID: 4242}

// A store is refused if another user controls it, what is above it, or what it relies on. Each refusal names the path,
// its owner and the command that mends it, and verify has a finding for it.
func TestAStoreOfOthersIsRefused(t *testing.T) {
	needRoot(t)
	for name, c := range map[string]struct {
		path string // to which the refusal points, below the folder that holds the store
		fix  string
		do   func(t *testing.T, above string)
	}{
		"the store": {"store", "chown root: ", func(t *testing.T, above string) {
			must(t, os.Chown(filepath.Join(above, "store"), stranger.UID, stranger.GID))
		}},
		"a folder above":                    {".", "chown root: ", func(t *testing.T, above string) { must(t, os.Chown(above, stranger.UID, stranger.GID)) }},
		"a folder above that all may write": {".", "chmod go-w ", func(t *testing.T, above string) { must(t, os.Chmod(above, 0o777)) }},
		"a store that a group may write":    {"store", "chmod go-w ", func(t *testing.T, above string) { must(t, os.Chmod(filepath.Join(above, "store"), 0o770)) }},
		"an authority": {"store/authorities/.client-root.1", "chown -R root: ", func(t *testing.T, above string) {
			must(t, os.Chown(filepath.Join(above, "store/authorities/.client-root.1"), stranger.UID, stranger.GID))
		}},
		"a key": {"store/authorities/.peer-root.1/ca.key", "chown root: ", func(t *testing.T, above string) {
			must(t, os.Chown(filepath.Join(above, "store/authorities/peer-root/ca.key"), stranger.UID, stranger.GID))
		}},
		"the ledger": {"store/" + ledgerName, "chown root: ", func(t *testing.T, above string) {
			must(t, os.Chown(filepath.Join(above, "store", ledgerName), stranger.UID, stranger.GID))
		}},
		"the spec": {"store/" + SpecName, "chown root: ", func(t *testing.T, above string) {
			must(t, os.Chown(filepath.Join(above, "store", SpecName), stranger.UID, stranger.GID))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			above := filepath.Join(t.TempDir(), "above")
			must(t, os.Mkdir(above, 0o755))
			dir := filepath.Join(above, "store")
			spec := specOf(t, 1, "")
			issue(t, dir, spec, testNow())
			c.do(t, above)
			before := tree(t, dir)
			want := filepath.Join(above, c.path)
			for name, open := range map[string]func(string, *cluster.Cluster) (*Store, error){"OpenStore": OpenStore, "PeekStore": PeekStore} {
				_, err := open(dir, spec)
				if fault, ok := errors.AsType[*durable.TrustError](err); !ok || fault.Path != want || !strings.Contains(fault.Fix, c.fix+want) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if after := tree(t, dir); len(after) != len(before) {
				t.Errorf("the refusal left %v", after)
			}
			store, err := InspectStore(dir, spec)
			must(t, err)
			defer store.Close()
			found, err := store.Verify(spec, testNow())
			must(t, err)
			if len(found) == 0 {
				t.Error("verify finds nothing")
			}
			for _, f := range found {
				for _, l := range f.Fix {
					if strings.Contains(l.Text, "--reference") {
						t.Errorf("%s: the fix %q gives it to somebody else", f.Path, l.Text)
					}
				}
			}
		})
	}
}

// A store in a folder of another user, or behind a symlink of that user, is not made either.
func TestNoStoreIsMadeInTheFolderOfAnother(t *testing.T) {
	needRoot(t)
	shared := t.TempDir()
	must(t, os.Chmod(shared, 0o777|os.ModeSticky))
	theirs, mine := filepath.Join(shared, "theirs"), t.TempDir()
	must(t, os.Mkdir(theirs, 0o755))
	must(t, os.Symlink(mine, filepath.Join(shared, "link")))
	give(t, theirs, stranger)
	must(t, os.Lchown(filepath.Join(shared, "link"), stranger.UID, stranger.GID))
	c := specOf(t, 1, "")
	for _, dir := range []string{theirs, filepath.Join(theirs, "store"), filepath.Join(theirs, "a/b"), filepath.Join(shared, "link"), filepath.Join(shared, "link/store")} {
		_, err := OpenStore(dir, c)
		if fault, ok := errors.AsType[*durable.TrustError](err); !ok || fault.Owner != stranger {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range []string{theirs, mine} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s has %v, %v", dir, entries, err)
		}
	}
	store, err := OpenStore(filepath.Join(shared, "store"), c) // as in /tmp
	must(t, err)
	store.Close()
}

// Secrets of the caller come from nobody else: passphrases, identities, keys of authorities elsewhere, and keys
// for requests.
func TestSecretsOfOthersAreRefused(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	must(t, os.WriteFile(secret, []byte("correct horse battery staple\n"), 0o600))
	_, err := ReadSecret(nil, secret)
	must(t, err)
	must(t, os.Chown(secret, stranger.UID, stranger.GID))
	for name, read := range map[string]func() error{
		"a passphrase": func() error { _, _, err := RootKeyFiles{PassphrasePath: secret}.Read(nil); return err },
		"an identity":  func() error { _, _, err := RootKeyFiles{IdentityPath: secret}.Read(nil); return err },
		"a CA's key":   func() error { _, err := readCAKey(secret); return err },
	} {
		if fault, ok := errors.AsType[*durable.TrustError](read()); !ok || fault.Path != secret || fault.Owner != stranger {
			t.Errorf("%s: %v", name, read())
		}
	}
	b, _, _ := NewPlan(specOf(t, 1, "")).Find("etcd-0")
	requests := t.TempDir()
	_, err = MakeRequests(requests, b.Leaves, "ecdsa-p256", false)
	must(t, err)
	key := filepath.Join(requests, b.Leaves[0].KeyFile)
	must(t, os.Chown(key, stranger.UID, stranger.GID))
	_, err = MakeRequests(requests, b.Leaves, "ecdsa-p256", false)
	if fault, ok := errors.AsType[*durable.TrustError](err); !ok || fault.Path != key {
		t.Errorf("a planted key: %v", err)
	}
}
