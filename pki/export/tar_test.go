package export

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etcdsec/etcdsec/internal/durable"
)

func archive(t *testing.T, dir, member string, owner *durable.Owner) []byte {
	t.Helper()
	store, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	node, err := store.Node(member, testNow())
	if err != nil {
		t.Fatal(err)
	}
	data, err := node.Tar(owner)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// listing is one line for each entry: mode, owner, time and name.
func listing(t *testing.T, archive []byte) []string {
	t.Helper()
	var lines []string
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%c %04o %d:%d %s %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.UTC().Format("2006-01-02T15:04:05"), h.Name))
	}
}

func TestTar(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers, "    enableGRPCGateway: true\n", testNow())
	at := "2026-11-21T11:55:00" // five minutes before it was issued
	file := func(mode, owner, name string) string { return fmt.Sprintf("0 %s %s %s %s", mode, owner, at, name) }
	want := func(owner string) string {
		return strings.Join([]string{
			file("0644", owner, "etcd.conf.yaml"),
			file("0644", owner, "etcd.service"),
			fmt.Sprintf("5 0700 %s %s pki/", owner, at),
			file("0644", owner, "pki/ca.crt"),
			file("0644", owner, "pki/gateway-client.crt"),
			file("0600", owner, "pki/gateway-client.key"),
			file("0644", owner, "pki/peer-ca.crt"),
			file("0644", owner, "pki/peer.crt"),
			file("0600", owner, "pki/peer.key"),
			file("0644", owner, "pki/server.crt"),
			file("0600", owner, "pki/server.key"),
		}, "\n")
	}
	if got := strings.Join(listing(t, archive(t, dir, "etcd-0", nil)), "\n"); got != want("0:0") {
		t.Errorf("got\n%s\nwant\n%s", got, want("0:0"))
	}
	if got := strings.Join(listing(t, archive(t, dir, "etcd-0", &durable.Owner{UID: 1234, GID: 4321})), "\n"); got != want("1234:4321") {
		t.Errorf("got\n%s\nwant\n%s", got, want("1234:4321"))
	}
	if bytes.Equal(archive(t, dir, "etcd-0", nil), archive(t, dir, "etcd-1", nil)) {
		t.Error("two members have one archive")
	}
}

// Equal nodes give equal bytes, whenever they are read, whatever the times, versions,
// modes and leftovers of the store, and whether its symlinks were followed in a copy.
func TestTarIsReproducible(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers, "", testNow())
	want := archive(t, dir, "etcd-0", nil)
	node := filepath.Join(dir, "nodes/etcd-0")

	pki := filepath.Join(node, "pki")
	rewrite(t, contents(t, pki, "server.crt"), 0o444, pki, "server.crt") // later than it was issued
	rewrite(t, contents(t, pki, "server.key"), 0o600, pki, "server.key")
	for _, name := range []string{".pki.7", ".pki.link", ".etcd.service.tmp"} {
		if err := os.WriteFile(filepath.Join(node, name), []byte("left over"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(node, "etcd.service"), 0o444); err != nil {
		t.Fatal(err)
	}
	if got := archive(t, dir, "etcd-0", nil); !bytes.Equal(got, want) {
		t.Errorf("other bytes for the same node:\n%s", strings.Join(listing(t, got), "\n"))
	}

	// As `cp -rL` copies it.
	version, err := filepath.EvalSymlinks(pki)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(pki); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(version, pki); err != nil {
		t.Fatal(err)
	}
	if got := archive(t, dir, "etcd-0", nil); !bytes.Equal(got, want) {
		t.Errorf("other bytes for a plain folder:\n%s", strings.Join(listing(t, got), "\n"))
	}
}

// A layout may have folders in a bundle; what has a key in it or is closed to others is
// closed to them on the node.
func TestTarFolders(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers, "", testNow())
	sub := filepath.Join(dir, "nodes/etcd-0/pki/etcd")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	rewrite(t, contents(t, dir, "nodes/etcd-0/pki/server.key"), 0o644, sub, "server.key") // a mode that no key may have
	rewrite(t, []byte("not for others"), 0o400, sub, "closed")
	got := strings.Join(listing(t, archive(t, dir, "etcd-0", nil)), "\n")
	for _, want := range []string{"0 0600 0:0 2026-11-21T11:55:00 pki/etcd/closed\n", "5 0700 0:0 2026-11-21T11:55:00 pki/etcd/\n", "0 0600 0:0 2026-11-21T11:55:00 pki/etcd/server.key\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestTarRefuses(t *testing.T) {
	t.Parallel()
	secretFile := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(secretFile, []byte("not for a node"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name  string
		spoil func(node string) error
		fault string
	}{
		{"a symlink beside the bundle", func(node string) error { return os.Symlink(secretFile, filepath.Join(node, "extra.yaml")) }, "extra.yaml is neither a file nor a folder"},
		{"a symlink in the bundle", func(node string) error { return os.Symlink(secretFile, filepath.Join(node, "pki", "extra.crt")) }, "extra.crt is neither a file nor a folder"},
		{"a pipe", func(node string) error { return syscall.Mkfifo(filepath.Join(node, "pipe"), 0o600) }, "pipe is neither a file nor a folder"},
		{"a file of a gigabyte", func(node string) error { return os.Truncate(filepath.Join(node, "etcd.service"), 1<<30) }, "larger than"},
		{"a bundle that points elsewhere", func(node string) error {
			elsewhere := filepath.Join(filepath.Dir(node), "etcd-1", "pki")
			resolved, err := filepath.EvalSymlinks(elsewhere)
			if err != nil {
				return err
			}
			return errors.Join(os.Remove(filepath.Join(node, "pki")), os.Symlink(resolved, filepath.Join(node, "pki")))
		}, "is not one of its versions"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := bootstrap(t, twoMembers, "", testNow())
			if err := tc.spoil(filepath.Join(dir, "nodes/etcd-0")); err != nil {
				t.Fatal(err)
			}
			store := open(t, dir)
			if _, err := store.Node("etcd-0", testNow()); err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("error %v, want %q", err, tc.fault)
			}
			if _, err := store.Node("etcd-1", testNow()); err != nil {
				t.Errorf("the other node: %v", err)
			}
		})
	}
	if _, err := open(t, bootstrap(t, twoMembers, "", testNow())).Node("etcd-7", testNow()); err == nil {
		t.Error("a node that is not there was read")
	}
}

func TestTarWithoutKey(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers, "", testNow())
	if err := os.Remove(filepath.Join(dir, "nodes/etcd-0/pki/peer.key")); err != nil {
		t.Fatal(err)
	}
	node, err := open(t, dir).Node("etcd-0", testNow())
	if err != nil {
		t.Fatal(err)
	}
	if len(node.Keyless) != 1 || node.Keyless[0] != "etcd-0/peer" {
		t.Errorf("without the keys of %q", node.Keyless)
	}
	data, err := node.Tar(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(listing(t, data), "\n"); strings.Contains(got, "peer.key") || !strings.Contains(got, "peer.crt") || !strings.Contains(got, "server.key") {
		t.Error(got)
	}
}

// unpack unpacks with the tar of the system, as the help says.
func unpack(t *testing.T, archive []byte, dir string) {
	t.Helper()
	program, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("tar is not installed")
	}
	cmd := exec.CommandContext(t.Context(), program, "-xpf", "-", "-C", dir)
	cmd.Stdin = bytes.NewReader(archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	store := bootstrap(t, twoMembers, "", testNow())
	owner := durable.Owner{UID: 1234, GID: 4321}
	dir := t.TempDir()
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	unpack(t, archive(t, store, "etcd-0", &owner), dir)
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o644)
		switch {
		case d.IsDir():
			want = fs.ModeDir | 0o700
		case strings.HasSuffix(path, ".key"):
			want = 0o600
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && os.Getuid() == 0 && (int(stat.Uid) != owner.UID || int(stat.Gid) != owner.GID) {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
		if !d.IsDir() {
			files++
			relative, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			if !bytes.Equal(contents(t, path), contents(t, store, "nodes/etcd-0", relative)) {
				t.Errorf("%s has other contents than the store's", relative)
			}
		}
		return nil
	})
	if err != nil || files != 8 {
		t.Errorf("%d files, %v", files, err)
	}
	if after, err := os.Stat(dir); err != nil || after.Mode() != before.Mode() {
		t.Errorf("the folder it was unpacked in has mode %v now", after.Mode())
	}
}
