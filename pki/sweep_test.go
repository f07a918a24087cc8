package pki

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// findingsAt returns the findings about one path.
func findingsAt(found []Finding, path string) (about []string) {
	for _, f := range found {
		if f.Path == path {
			about = append(about, f.Problem)
		}
	}
	return about
}

// copyNew copies a file to a new path, and makes the folders above it.
func copyNew(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// What killed runs left, with private keys in it, is named by verify and removed by the next run, even
// if that has nothing to sign. The previous version of a bundle is kept, and is no finding.
func TestOldKeysAreNamedAndRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	for range 3 {
		renew(t, dir, c, testNow(), Renewal{All: true, NewKey: true})
	}
	clean := tree(t, dir)
	before := verify(t, dir, c, testNow())
	leftovers := map[string]bool{ // whether there is a key in it
		"nodes/etcd-0/.pki.1":                             true, // the run was killed before it removed the version before the previous one
		"nodes/etcd-0/.pki.2":                             true,
		"nodes/etcd-0/.pki.5":                             true, // before it made the symlink
		"clients/.auditor.1":                              true,
		"authorities/.client-issuing.9":                   true,
		"nodes/etcd-9/.pki.1":                             true, // of a member that is no longer in the spec, in its first run
		".cluster.yaml.ABCDEFGH.tmp":                      false,
		"kubernetes/.encryption-config.yaml.ABCDEFGH.tmp": true,
		"clients/.auditor.link":                           false,
	}
	for name, withKey := range leftovers {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(name, ".link"):
			if err := os.Symlink(".auditor.9", path); err != nil {
				t.Fatal(err)
			}
			continue
		case !strings.HasSuffix(name, ".tmp"):
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			path = filepath.Join(path, "server.key")
		}
		data := []byte("half a file")
		if withKey {
			var err error
			if _, data, err = NewKey(c.PKI.KeyAlgorithm); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := verify(t, dir, c, testNow())
	for name, withKey := range leftovers {
		about := findingsAt(found, name)
		if len(about) != 1 || withKey != strings.Contains(about[0], "it holds private keys: ") {
			t.Errorf("%s: %q", name, about)
		}
	}
	if len(found) != len(before)+len(leftovers) {
		t.Errorf("%d findings, want %d: %v", len(found), len(before)+len(leftovers), found)
	}
	renew(t, dir, c, testNow(), Renewal{Due: true})
	if diff := cmp.Diff(clean, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, verify(t, dir, c, testNow()), cmp.AllowUnexported(Finding{}, Line{})); diff != "" {
		t.Error(diff)
	}
}

// A key in a hidden folder is a finding, as anywhere else, and so is a key of a previous version that
// others can read.
func TestKeysInHiddenFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	renew(t, dir, c, testNow(), Renewal{All: true})
	copyNew(t, filepath.Join(dir, "nodes/etcd-0/pki/peer.key"), filepath.Join(dir, ".backup/nodes/old.txt"))
	if err := os.Chmod(filepath.Join(dir, "nodes/etcd-0/.pki.1/server.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	found := verify(t, dir, c, testNow())
	for path, want := range map[string]string{
		".backup/nodes/old.txt":          "is a private key that the plan does not have",
		"nodes/etcd-0/.pki.1/server.key": "has mode 0644, so others may have read the key",
	} {
		if about := findingsAt(found, path); len(about) != 1 || about[0] != want {
			t.Errorf("%s: %q", path, about)
		}
	}
}

// A copy of a store that lost the symlinks still has the keys: no run replaces or removes them.
func TestStoreWithoutSymlinks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	for _, renewal := range []Renewal{{}, {All: true}, {Authorities: true, Due: true}} {
		if _, err := renewErr(t, dir, c, testNow(), renewal); err == nil || !strings.Contains(err.Error(), "no symlink leads to authorities/.") {
			t.Errorf("got %v", err)
		}
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	if about := findingsAt(verify(t, dir, c, testNow()), "nodes/etcd-0/.pki.1"); len(about) != 1 || !strings.Contains(about[0], "no symlink leads to it") {
		t.Errorf("verify: %q", about)
	}
}

// An install removes all versions of its target except the current and the previous one, even if the
// target already has everything.
func TestInstallRemovesOldKeys(t *testing.T) {
	b, sources := installable(t)
	target := t.TempDir()
	install := func(from string) {
		t.Helper()
		if _, err := InstallBundle(b, InstallConfig{Signed: from, Keys: from, Target: target, Now: testNow()}, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		install(sources[0])
		install(sources[1])
	}
	want := tree(t, target)
	for _, name := range []string{"..v.1", "..v.9"} {
		copyNew(t, filepath.Join(sources[0], "server.key"), filepath.Join(target, name, "server.key"))
	}
	install(sources[1])
	if diff := cmp.Diff(want, tree(t, target)); diff != "" {
		t.Error(diff)
	}
	// Without "..data", the key is in a version that no name leads to: it is not removed.
	if err := os.Remove(filepath.Join(target, "..data")); err != nil {
		t.Fatal(err)
	}
	_, err := InstallBundle(b, InstallConfig{Signed: sources[0], Keys: sources[0], Target: target, Now: testNow()}, false)
	if _, unfinished := errors.AsType[*UnfinishedError](err); !unfinished || !strings.Contains(err.Error(), "..data") {
		t.Errorf("got %v", err)
	}
}

// A bundle that loses its symlink in its first version keeps its keys: the next run makes the symlink
// again. One that a killed run left unfinished is made anew, and an encrypted key is for a person to judge.
func TestFirstVersionWithoutSymlink(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, "")
	for name, tc := range map[string]struct{ bundle, key string }{
		"client":    {"clients/auditor", "client.key"},
		"member":    {"nodes/etcd-0/pki", "server.key"},
		"authority": {"authorities/client-issuing", "ca.key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			issue(t, dir, c, testNow())
			link := filepath.Join(dir, filepath.FromSlash(tc.bundle))
			before := readFile(t, filepath.Join(link, tc.key))
			version, err := os.Readlink(link)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			if work := renew(t, dir, c, testNow(), Renewal{Due: true}); !work.Nothing() {
				t.Errorf("it had something to do: %+v", work.Steps)
			}
			if after := readFile(t, filepath.Join(link, tc.key)); !bytes.Equal(before, after) {
				t.Error("the key is another one")
			}
			// The same without the key: what a killed run leaves.
			if err := os.Remove(filepath.Join(filepath.Dir(link), version, tc.key)); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			if tc.bundle != "authorities/client-issuing" { // which has signed since, so a new one is refused
				issue(t, dir, c, testNow())
				if after := readFile(t, filepath.Join(link, tc.key)); bytes.Equal(before, after) {
					t.Error("the key came back")
				}
			}
		})
	}
	t.Run("encrypted root", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "store")
		_, recipient := newIdentity(t)
		protect(t, dir, c, recipient, KeyAccess{})
		link := filepath.Join(dir, "authorities", "client-root")
		version, err := os.Readlink(link)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		if _, err := renewErr(t, dir, c, testNow(), Renewal{Due: true}); err == nil || !strings.Contains(err.Error(), "ln -sfn "+version) {
			t.Errorf("renew: %v", err)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(link), version, encryptedKeyName)); err != nil {
			t.Error(err)
		}
	})
}
