package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The umask of a process is one for all its goroutines, so no test here runs in parallel.
func withUmask(t *testing.T, mask int) {
	t.Helper()
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o777} {
		dir := t.TempDir()
		withUmask(t, mask)
		sub := filepath.Join(dir, "a", "b")
		if err := MakeDirs(sub, nil); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(sub, File{"x.key", 0o600, []byte("k")}, nil); err != nil {
			t.Fatal(err)
		}
		if err := SwapBundle(sub, "pki", []File{{"y.key", 0o600, []byte("k")}, {"y.crt", 0o644, []byte("c")}}, nil); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{"../../a": 0o700, ".": 0o700, "x.key": 0o600, "pki/y.key": 0o600, "pki/y.crt": 0o644, "pki": 0o700} {
			if got := modeOf(t, filepath.Join(sub, name)); got != want {
				t.Errorf("umask %04o: %s has mode %04o, want %04o", mask, name, got, want)
			}
		}
	}
}

func TestOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	dir := t.TempDir()
	owner := &Owner{UID: 1234, GID: 4321}
	if err := SwapBundle(dir, "pki", []File{{"y.key", 0o600, []byte("k")}}, owner); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pki", "pki/y.key"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 1234 || stat.Gid != 4321 {
			t.Errorf("%s belongs to %d:%d", name, stat.Uid, stat.Gid)
		}
	}
}

func TestSwapBundleKeepsOnePrevious(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"1", "2", "3"} {
		if err := SwapBundle(dir, "pki", []File{{"f", 0o600, []byte(content)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{"pki/f": "3", ".pki.3/f": "3", ".pki.2/f": "2"} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", path, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".pki.1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the version before the previous one is still there: %v", err)
	}
}

// What a killed run leaves behind, a version that no symlink points at and a symlink that
// was not renamed, is in nobody's way.
func TestSwapBundleAfterACrash(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".pki.1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".pki.1", "torn"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".pki.1", filepath.Join(dir, ".pki.link")); err != nil {
		t.Fatal(err)
	}
	if err := SwapBundle(dir, "pki", []File{{"f", 0o600, []byte("new")}}, nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "pki"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "f" {
		t.Errorf("%v %v", entries, err)
	}
}

// A write that fails leaves the old bundle and nothing of the new one.
func TestSwapBundleFailure(t *testing.T) {
	dir := t.TempDir()
	if err := SwapBundle(dir, "pki", []File{{"f", 0o600, []byte("old")}}, nil); err != nil {
		t.Fatal(err)
	}
	err := SwapBundle(dir, "pki", []File{{"f", 0o600, []byte("new")}, {"no/such/folder", 0o600, nil}}, nil)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "pki")) {
		t.Fatalf("got %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "pki", "f")); err != nil || string(got) != "old" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".pki.2")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a version is left: %v", err)
	}
}

func TestSwapBundleRefusesForeignNames(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "elsewhere"} {
		if err := SwapBundle(dir, name, nil, nil); err == nil {
			t.Errorf("%s was taken for a bundle", name)
		}
	}
}

// A copy that followed symlinks has plain folders; they become bundles again, and their
// files are kept as the version before.
func TestSwapBundleOverAPlainFolder(t *testing.T) {
	for _, killed := range []bool{false, true} {
		dir := t.TempDir()
		for _, folder := range []string{"pki", ".pki.link"} { // the second as if killed behind the exchange
			if folder == "pki" || killed {
				if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, folder, "f"), []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, content := range []string{"1", "2"} {
			if err := SwapBundle(dir, "pki", []File{{"f", 0o600, []byte(content)}}, nil); err != nil {
				t.Fatal(err)
			}
			previous := filepath.Join(dir, ".pki.0", "f")
			if got, err := os.ReadFile(previous); content == "1" && (err != nil || string(got) != "old") {
				t.Errorf("the plain folder's file: %q %v", got, err)
			}
		}
		if got, err := os.ReadFile(filepath.Join(dir, "pki", "f")); err != nil || string(got) != "2" {
			t.Errorf("%q %v", got, err)
		}
		for _, gone := range []string{".pki.0", ".pki.link"} {
			if _, err := os.Lstat(filepath.Join(dir, gone)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", gone, err)
			}
		}
	}
}

func TestWriteFileReplacesALeftTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".f.tmp"), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(dir, File{"f", 0o600, []byte("whole")}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(got) != "whole" {
		t.Errorf("%q %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	for _, line := range []string{"a\n", "b\n"} {
		if err := Append(path, []byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "a\nb\n" {
		t.Errorf("%q %v", got, err)
	}
	if got := modeOf(t, path); got != 0o600 {
		t.Errorf("mode %04o", got)
	}
}

func TestReadFileRefusesWhatIsNoSmallRegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<30); err != nil { // sparse
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, huge, "/dev/zero", filepath.Join(dir, "none")} {
		if _, err := ReadFile(path, 1<<20); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	release, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	release()
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	again()
}
