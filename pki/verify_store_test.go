package pki

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// offline takes the roots' keys off a store, as verify wants it.
func offline(t testing.TB, dir string) {
	t.Helper()
	for _, root := range []string{ClientRoot, PeerRoot} {
		if err := os.Remove(filepath.Join(dir, "authorities", root, caKeyName)); err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t testing.TB, dir string, c *cluster.Cluster, now time.Time) []Finding {
	t.Helper()
	before := tree(t, dir)
	store, err := InspectStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	found, err := store.Verify(c, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("verify changed:\n%s", diff)
	}
	for _, f := range found {
		checkFix(t, dir, NewPlan(c), f)
	}
	return found
}

// checkFix wants each command of a fix to renew only what exists.
func checkFix(t testing.TB, dir string, plan Plan, f Finding) {
	t.Helper()
	for _, line := range f.Fix {
		rest, renews := strings.CutPrefix(line.Text, "etcdsec pki renew "+shellword.Path(dir)+" ")
		if name, _, _ := strings.Cut(rest, " "); renews && !strings.HasPrefix(rest, "-") {
			if _, _, known := plan.Find(name); !known {
				t.Errorf("%s: %s: the plan has no leaf of this fix: %s", f.Path, f.Problem, line.Text)
			}
		}
	}
}

// The finding of a root's plain key says what needs the key, which the hierarchy decides.
func TestVerifyRootKeyUse(t *testing.T) {
	t.Parallel()
	for hierarchy, want := range map[string]string{
		"issuing": "is a root's key in plain text; only making or renewing a CA needs it",
		"single":  "is a root's key in plain text; it also signs the leaves, so every renewal needs it",
		"shared":  "is a root's key in plain text; it also signs the leaves, so every renewal needs it",
	} {
		dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "  pki: {hierarchy: "+hierarchy+"}\n")
		issue(t, dir, c, testNow())
		found := verify(t, dir, c, testNow())
		if len(found) == 0 {
			t.Errorf("%s: no finding", hierarchy)
		}
		for _, f := range found {
			if f.Problem != want {
				t.Errorf("%s: %s: %s", hierarchy, f.Path, f.Problem)
			}
		}
	}
}

// Exactly one finding for each fault, at the right path, with a fix.
func TestVerifyFindings(t *testing.T) {
	t.Parallel()
	c := specOf(t, 2, "")
	write := func(path string, mode fs.FileMode, data []byte) error {
		if err := os.WriteFile(path, data, mode); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	}
	copyFile := func(from, to string) error {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		return write(to, info.Mode().Perm(), data)
	}
	cases := map[string]struct {
		change func(dir string) error
		at     time.Duration
		want   []string // "path: problem", a prefix
	}{
		"sound": {nil, day, nil},
		"root key on line": {
			func(dir string) error {
				return copyFile(filepath.Join(dir, "..", "client-root.key"), filepath.Join(dir, "authorities/client-root/ca.key"))
			}, day,
			[]string{"authorities/client-root/ca.key: is a root's key in plain text"},
		},
		"world-readable key": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "nodes/etcd-0/pki/server.key"), 0o644) }, day,
			[]string{"nodes/etcd-0/pki/server.key: has mode 0644, so others may have read the key"},
		},
		"writable certificate": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "nodes/etcd-0/pki/ca.crt"), 0o666) }, day,
			[]string{"nodes/etcd-0/pki/ca.crt: has mode 0666: others can change it"},
		},
		"writable folder": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "clients"), 0o777) }, day,
			[]string{"clients: has mode 0777: others can put files here"},
		},
		"key of another member": {
			func(dir string) error {
				return copyFile(filepath.Join(dir, "nodes/etcd-1/pki/server.key"), filepath.Join(dir, "nodes/etcd-0/pki/server.key"))
			}, day,
			[]string{"nodes/etcd-0/pki/server.crt: does not belong to its key"},
		},
		"another member's pair": {
			func(dir string) error {
				for _, name := range []string{"peer.crt", "peer.key"} {
					if err := copyFile(filepath.Join(dir, "nodes/etcd-1/pki", name), filepath.Join(dir, "nodes/etcd-0/pki", name)); err != nil {
						return err
					}
				}
				return nil
			}, day,
			[]string{
				`nodes/etcd-0/pki/peer.crt: has subject "CN=etcd-1", want CN=etcd-0`,
				"nodes/etcd-0/pki/peer.crt: has the wrong names",
				"nodes/etcd-0/pki/peer.crt: is not the last one issued for etcd-0/peer",
				"nodes/etcd-1/pki/peer.crt: has the same key as nodes/etcd-0/pki/peer.crt",
				"nodes/etcd-1/pki/peer.crt: has the same serial number as nodes/etcd-0/pki/peer.crt",
			},
		},
		"client in a member's place": {
			func(dir string) error {
				for _, name := range []string{"crt", "key"} {
					if err := copyFile(filepath.Join(dir, "clients/auditor/client."+name), filepath.Join(dir, "nodes/etcd-0/pki/peer."+name)); err != nil {
						return err
					}
				}
				return nil
			}, day,
			[]string{
				"clients/auditor/client.crt: has the same key as nodes/etcd-0/pki/peer.crt",
				"clients/auditor/client.crt: has the same serial number as nodes/etcd-0/pki/peer.crt",
				"nodes/etcd-0/pki/peer.crt: has subject",
				"nodes/etcd-0/pki/peer.crt: has the wrong names",
				"nodes/etcd-0/pki/peer.crt: has the extended key usages",
				"nodes/etcd-0/pki/peer.crt: x509: certificate signed by unknown authority",
				"nodes/etcd-0/pki/peer.crt: its issuer peer-issuing was replaced",
				"nodes/etcd-0/pki/peer.crt: is not the last one issued",
			},
		},
		"lost key": {
			func(dir string) error { return os.Remove(filepath.Join(dir, "clients/auditor/client.key")) }, day,
			[]string{"clients/auditor/client.crt: its key was made in this store and is missing"},
		},
		"lost certificate": {
			func(dir string) error { return os.Remove(filepath.Join(dir, "clients/auditor/client.crt")) }, day,
			[]string{"clients/auditor/client.crt: is missing", "ledger.jsonl: clients/auditor with serial number"},
		},
		"lost issuing key": {
			func(dir string) error { return os.Remove(filepath.Join(dir, "authorities/peer-issuing/ca.key")) }, day,
			[]string{"authorities/peer-issuing/ca.key: is missing"},
		},
		"truncated certificate": {
			func(dir string) error { return os.Truncate(filepath.Join(dir, "clients/auditor/client.crt"), 300) }, day,
			[]string{"clients/auditor/client.crt: cannot be read: PEM block 1 is cut short", "ledger.jsonl: clients/auditor with serial number"},
		},
		"empty key": {
			func(dir string) error { return os.Truncate(filepath.Join(dir, "clients/auditor/client.key"), 0) }, day,
			[]string{"clients/auditor/client.key: cannot be read: the file is empty"},
		},
		"empty key that others can read": {
			func(dir string) error {
				return write(filepath.Join(dir, "authorities/client-issuing/ca.key"), 0o640, nil)
			}, day,
			[]string{
				"authorities/client-issuing/ca.key: cannot be read: the file is empty",
				"authorities/client-issuing/ca.key: has mode 0640, so others may have read the key",
			},
		},
		"another member's key that others can read": {
			func(dir string) error {
				if err := copyFile(filepath.Join(dir, "nodes/etcd-1/pki/server.key"), filepath.Join(dir, "nodes/etcd-0/pki/server.key")); err != nil {
					return err
				}
				return os.Chmod(filepath.Join(dir, "nodes/etcd-0/pki/server.key"), 0o640)
			}, day,
			[]string{
				"nodes/etcd-0/pki/server.crt: does not belong to its key",
				"nodes/etcd-0/pki/server.key: has mode 0640, so others may have read the key",
			},
		},
		"foreign trust": {
			func(dir string) error {
				return copyFile(filepath.Join(dir, "authorities/peer-root/ca.crt"), filepath.Join(dir, "clients/auditor/ca.crt"))
			}, day,
			[]string{"clients/auditor/ca.crt: is not the certificate of client-root"},
		},
		"stray key": {
			func(dir string) error {
				return copyFile(filepath.Join(dir, "clients/auditor/client.key"), filepath.Join(dir, "nodes/etcd-0/notes.txt"))
			}, day,
			[]string{"nodes/etcd-0/notes.txt: is a private key that the plan does not have"},
		},
		"symlink out": {
			func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "clients/passwd")) }, day,
			[]string{"clients/passwd: leads out of the store, to /etc/passwd"},
		},
		"symlink loop": {
			func(dir string) error { return os.Symlink("loop", filepath.Join(dir, "clients/loop")) }, day,
			[]string{"clients/loop: leads nowhere"},
		},
		"expired leaves": {
			nil, 100 * day,
			slices.Repeat([]string{""}, 7),
		},
		"cut ledger": {
			func(dir string) error { return os.Truncate(filepath.Join(dir, "ledger.jsonl"), 0) }, day,
			[]string{"ledger.jsonl: "},
		},
		"no ledger head": {
			func(dir string) error { return os.Remove(filepath.Join(dir, "ledger.head")) }, day,
			[]string{"ledger.head: is missing"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			issue(t, dir, c, testNow())
			if err := copyFile(filepath.Join(dir, "authorities/client-root/ca.key"), filepath.Join(dir, "..", "client-root.key")); err != nil {
				t.Fatal(err)
			}
			offline(t, dir)
			if tc.change != nil {
				if err := tc.change(dir); err != nil {
					t.Fatal(err)
				}
			}
			found := verify(t, dir, c, testNow().Add(tc.at))
			ok := len(found) == len(tc.want)
			for i := range min(len(found), len(tc.want)) {
				ok = ok && strings.HasPrefix(found[i].Path+": "+found[i].Problem, tc.want[i]) && len(found[i].Fix) > 0
			}
			if !ok {
				t.Errorf("want %q, got:", tc.want)
				for _, f := range found {
					t.Errorf("%s: %s [%s]", f.Path, f.Problem, f.Fix)
				}
			}
		})
	}
}

// Whatever is done to one file of a store, verify sees it. `make test-e2e` tries more.
func TestVerifyCatchesMutations(t *testing.T) {
	t.Parallel()
	testMutations(t, 50)
}

func testMutations(t *testing.T, mutations int) {
	t.Helper()
	c := specOf(t, 3, "  clients: [{name: backup, role: backup}]\n")
	original := filepath.Join(t.TempDir(), "store")
	issue(t, original, c, testNow())
	renew(t, original, c, testNow(), Renewal{Names: []string{"etcd-0", "backup"}})
	offline(t, original)
	if found := verify(t, original, c, testNow()); len(found) > 0 {
		t.Fatalf("before: %+v", found)
	}
	var files []string
	err := filepath.WalkDir(original, func(path string, e fs.DirEntry, err error) error {
		relative, relErr := filepath.Rel(original, path)
		// The version before the current one is kept as it is and is nobody's business.
		if err != nil || relErr != nil || !e.Type().IsRegular() || relative == SpecName || strings.Contains(relative, ".ca.") && strings.HasSuffix(relative, ".ca.0") {
			return err
		}
		current := strings.Contains(relative, "/.pki.2/") || strings.Contains(relative, "/.backup.2/") ||
			!strings.Contains(relative, "etcd-0/.pki.1") && !strings.Contains(relative, "/.backup.1/")
		if current {
			files = append(files, relative)
		}
		return nil
	})
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	seed := [2]uint64{rand.Uint64(), rand.Uint64()}
	random := rand.New(rand.NewPCG(seed[0], seed[1]))
	for i := range mutations {
		file := files[random.IntN(len(files))]
		what, change := mutation(random, original, files)
		name := fmt.Sprintf("%d: %s of %s", i, what, file)
		dir := filepath.Join(t.TempDir(), "store")
		if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
			t.Fatal(err)
		}
		restoreModes(t, original, dir)
		path := filepath.Join(dir, file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(name, err)
		}
		if after, err := os.ReadFile(path); err == nil && bytes.Equal(bytes.TrimSpace(before), bytes.TrimSpace(after)) && !strings.HasPrefix(what, "chmod") {
			continue // such as a file copied over its equal, or other white space at its end
		}
		if len(verify(t, dir, c, testNow())) == 0 {
			t.Errorf("seed %d: not caught: %s", seed, name)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// restoreModes gives a copy the modes of its original, which os.CopyFS widens.
func restoreModes(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return os.Chmod(filepath.Join(to, relative), info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mutation(random *rand.Rand, original string, files []string) (string, func(path string) error) {
	edit := func(how func([]byte) []byte) func(string) error {
		return func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, how(data), 0o600)
		}
	}
	switch random.IntN(6) {
	case 0:
		return "a bit flipped", edit(func(data []byte) []byte {
			at := random.IntN(len(data))
			data[at] ^= 1 << random.IntN(8)
			return data
		})
	case 1:
		return "cut", edit(func(data []byte) []byte { return data[:random.IntN(len(data))] })
	case 2:
		return "junk behind", edit(func(data []byte) []byte { return append(data, "junk"...) })
	case 3:
		return "removal", os.Remove
	case 4:
		mode := []fs.FileMode{0o666, 0o662, 0o777}[random.IntN(3)]
		return fmt.Sprintf("chmod %o", mode), func(path string) error { return os.Chmod(path, mode) }
	default:
		other := files[random.IntN(len(files))]
		return "contents of " + other + " in place", func(path string) error {
			data, err := os.ReadFile(filepath.Join(original, other))
			if err != nil {
				return err
			}
			return os.WriteFile(path, data, 0o600)
		}
	}
}
