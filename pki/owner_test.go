package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// give gives everything below dir to a user.
func give(t *testing.T, dir string, owner durable.Owner) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, owner.UID, owner.GID))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// othersIn returns what does not belong to the user, by its path below dir.
func othersIn(t *testing.T, dir string, owner durable.Owner) (others []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		got := owner
		if d.Type()&fs.ModeSymlink == 0 { // the owner of a symlink does not matter
			there, err := durable.OwnerOf(path)
			if err != nil {
				return err
			}
			got = *there
		}
		if got != owner {
			others = append(others, path[len(dir):])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return others
}

// Root does nothing in the store of another user, who could read each key that root made there, and had
// every file in hand. Nothing in it gets another owner.
func TestRootRefusesTheStoreOfAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can work in the store of another user")
	}
	alice := durable.Owner{UID: 1234, GID: 4321}
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	give(t, dir, alice)
	before := tree(t, dir)
	for name, open := range map[string]func(string, *cluster.Cluster) (*Store, error){"OpenStore": OpenStore, "PeekStore": PeekStore} {
		_, err := open(dir, c)
		if fault, ok := errors.AsType[*durable.TrustError](err); !ok || fault.Path != dir || fault.Owner != alice || !strings.Contains(fault.Fix, "chown root: "+dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	if others := othersIn(t, dir, alice); len(others) > 0 {
		t.Errorf("these belong to somebody else: %q", others)
	}
}

// Whatever root does in a store of its own, everything in it stays root's.
func TestRootKeepsTheOwnerOfAStore(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	root := durable.Owner{UID: 0, GID: 4321}
	give(t, dir, root)
	check := func(after string) {
		t.Helper()
		if others := othersIn(t, dir, root); len(others) > 0 {
			t.Errorf("after %s, these belong to somebody else: %q", after, others)
		}
	}
	renew(t, dir, specOf(t, 1, ""), testNow(), Renewal{All: true, NewKey: true})
	check("renew --all")
	c := specOf(t, 2, "")
	issue(t, dir, c, testNow())
	check("a new member and a new spec")
	renew(t, dir, c, testNow(), Renewal{Authorities: true, All: true})
	check("recover")
	for _, name := range []string{ledgerName, headName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	reconcile(t, dir, c)
	check("a new ledger")
	if _, err := revokeErr(t, dir, c, Revocation{Which: "etcd-1/server", Reason: ReasonKeyCompromise, Current: true}, testNow()); err != nil {
		t.Fatal(err)
	}
	issue(t, dir, c, testNow())
	check("a revocation")
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.WriteFile("kubernetes/new", durable.File{Name: "f", Mode: 0o600}, nil); err != nil {
		t.Fatal(err)
	}
	check("a new folder")
}

// The owner of a node's files stays, even if it is not the owner of the store.
func TestRootKeepsTheOwnerOfABundle(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	etcd := durable.Owner{UID: 2345, GID: 5432}
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	give(t, filepath.Join(dir, "nodes/etcd-0/.pki.1"), etcd)
	renew(t, dir, c, testNow(), Renewal{All: true})
	bundle, err := filepath.EvalSymlinks(filepath.Join(dir, "nodes/etcd-0/pki"))
	if err != nil {
		t.Fatal(err)
	}
	if others := othersIn(t, bundle, etcd); len(others) > 0 {
		t.Errorf("these belong to somebody else: %q", others)
	}
}

// An install gives everything to the owner of its target, also in a folder below it that is new.
func TestInstallKeepsTheOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	etcd := durable.Owner{UID: 2345, GID: 5432}
	b, sources := installable(t)
	target := t.TempDir()
	give(t, target, etcd)
	for _, from := range sources {
		if _, err := InstallBundle(b, InstallConfig{Signed: from, Keys: from, Target: target, Now: testNow()}, false); err != nil {
			t.Fatal(err)
		}
		if others := othersIn(t, target, etcd); len(others) > 0 {
			t.Errorf("these belong to somebody else: %q", others)
		}
	}
	leaves := b.Leaves
	if _, err := MakeRequests(target, leaves, "ecdsa-p256", false); err != nil {
		t.Fatal(err)
	}
	if others := othersIn(t, target, etcd); len(others) > 0 {
		t.Errorf("after requests, these belong to somebody else: %q", others)
	}
}
