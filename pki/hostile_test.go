package pki

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
}
