package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a user with fewer rights than root. No file of this machine needs to belong to it.
var stranger = Owner{UID: 65534, GID: 65534}

// secret is the content of a file that only root may read.
const secret = "-----BEGIN PRIVATE KEY-----\nonly for root\n"

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can work in the folder of another user")
	}
}

// hostile returns a folder of the stranger, and one that only root may enter, with a secret in it.
func hostile(t *testing.T) (dir, vault string) {
	t.Helper()
	needRoot(t)
	dir, vault = filepath.Join(t.TempDir(), "pki"), filepath.Join(t.TempDir(), "vault")
	for _, folder := range []string{dir, vault} {
		must(t, os.Mkdir(folder, 0o700))
	}
	must(t, os.WriteFile(filepath.Join(vault, "server.key"), []byte(secret), 0o600))
	must(t, os.Chown(dir, stranger.UID, stranger.GID))
	return dir, vault
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plant lets the stranger write a file.
func plant(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
	must(t, os.Chown(path, stranger.UID, stranger.GID))
}

// leaks returns the regular files below dir that hold the secret.
func leaks(t *testing.T, dir string) (found []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), secret) {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// checkVault checks that nothing in a folder of root's changed.
func checkVault(t *testing.T, vault string) {
	t.Helper()
	entries, err := os.ReadDir(vault)
	must(t, err)
	owner, err := OwnerOf(vault)
	must(t, err)
	if len(entries) != 1 || owner.UID != 0 || modeOf(t, vault) != 0o700 || modeOf(t, filepath.Join(vault, "server.key")) != 0o600 {
		t.Errorf("root's folder was changed: %v, %v", entries, owner)
	}
}

// What the owner of a folder plants in it gets no file of root's into its hands.
func TestProjectFilesFollowsNothingThatWasPlanted(t *testing.T) {
	for name, c := range map[string]struct {
		installed bool // whether the folder has a version already
		plant     func(t *testing.T, dir, vault string)
	}{
		"a file": {false, func(t *testing.T, dir, vault string) {
			must(t, os.Symlink(filepath.Join(vault, "server.key"), filepath.Join(dir, "server.crt")))
		}},
		"a hard link": {false, func(t *testing.T, dir, vault string) {
			must(t, os.Chmod(filepath.Join(vault, "server.key"), 0o644)) // the stranger may read it, not own it
			must(t, os.Link(filepath.Join(vault, "server.key"), filepath.Join(dir, "server.crt")))
		}},
		"a file that was moved": {false, func(t *testing.T, dir, _ string) {
			must(t, os.WriteFile(filepath.Join(dir, "server.crt"), []byte(secret), 0o600))
		}},
		"a version": {true, func(t *testing.T, dir, vault string) {
			must(t, os.RemoveAll(filepath.Join(dir, "..v.2")))
			must(t, os.Symlink(vault, filepath.Join(dir, "..v.2")))
		}},
		"a file in a version": {true, func(t *testing.T, dir, vault string) {
			must(t, os.Symlink(filepath.Join(vault, "server.key"), filepath.Join(dir, "..v.2", "other")))
		}},
		"a hard link in a version": {true, func(t *testing.T, dir, vault string) {
			must(t, os.Chmod(filepath.Join(vault, "server.key"), 0o644))
			must(t, os.Link(filepath.Join(vault, "server.key"), filepath.Join(dir, "..v.2", "other")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, vault := hostile(t)
			files := []File{{"server.crt", 0o644, []byte("c")}}
			if c.installed {
				must(t, ProjectFiles(dir, files, nil))
			}
			c.plant(t, dir, vault)
			before := leaks(t, dir)
			err := ProjectFiles(dir, files, nil)
			fault, ok := errors.AsType[*TrustError](err)
			if !ok || !strings.HasPrefix(fault.Path, dir) || fault.Fix == "" {
				t.Errorf("got %v, want the path and what to do", err)
			}
			if got := leaks(t, dir); len(got) > len(before) {
				t.Errorf("the secret got into %q", got)
			}
			must(t, os.Chmod(filepath.Join(vault, "server.key"), 0o600))
			checkVault(t, vault)
		})
	}
}

// The folder itself can be a symlink, too.
func TestNothingIsWrittenThroughAPlantedSymlink(t *testing.T) {
	dir, vault := hostile(t)
	at := filepath.Join(dir, "pki")
	must(t, os.Symlink(vault, at))
	f := File{"f", 0o600, []byte("x")}
	for name, err := range map[string]error{
		"ProjectFiles":       ProjectFiles(at, []File{f}, nil),
		"SwapBundle":         SwapBundle(at, "b", []File{f}, nil),
		"WriteFile":          WriteFile(at, f, nil),
		"WriteBelow":         WriteBelow(at, "a/f", 0o600, nil),
		"MakeDirs":           MakeDirs(filepath.Join(at, "a", "b"), nil),
		"Append":             Append(filepath.Join(at, "f"), f.Data),
		"Truncate":           Truncate(filepath.Join(at, "server.key"), 0),
		"RemoveAll":          RemoveAll(filepath.Join(at, "server.key")),
		"RemoveTemporary":    RemoveTemporary(at),
		"the bundle's name":  SwapBundle(dir, "pki", []File{f}, nil),
		"Append to the link": Append(at, f.Data),
	} {
		if err == nil {
			t.Errorf("%s followed the symlink", name)
		}
	}
	if _, _, err := ReadGuarded(filepath.Join(at, "server.key"), 1<<20); err == nil {
		t.Error("ReadGuarded followed the symlink")
	}
	checkVault(t, vault)
}

// Symlinks of root in folders of root are followed, as are those of a bundle.
func TestSymlinksOfTheOperatorAreFollowed(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "real", "deep"), 0o700))
	must(t, os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "absolute")))
	must(t, os.Symlink("../real/deep", filepath.Join(dir, "real", "relative")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for _, way := range []string{"absolute", "real/relative", "absolute/relative/../deep"} {
		must(t, WriteFile(filepath.Join(dir, way), File{"f", 0o600, []byte(way)}, nil))
		if data, _, err := ReadGuarded(filepath.Join(dir, way, "f"), 100); err != nil || string(data) != way {
			t.Errorf("%s: %q, %v", way, data, err)
		}
	}
	if err := WriteFile(filepath.Join(dir, "loop"), File{Name: "f"}, nil); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
}

// All that is written into the folder of another user belongs to that user, who can read it, and a file with
// a key is 0600 whatever it was.
func TestProjectFilesInTheFolderOfAnother(t *testing.T) {
	dir, _ := hostile(t)
	plant(t, filepath.Join(dir, "server.key"), secret)
	must(t, os.Chmod(filepath.Join(dir, "server.key"), 0o777))
	must(t, ProjectFiles(dir, []File{{"server.key", 0o600, []byte("new")}, {"server.crt", 0o644, []byte("c")}}, nil))
	if mode := modeOf(t, filepath.Join(dir, "..v.1", "server.key")); mode != 0o600 {
		t.Errorf("the former key has mode %04o", mode)
	}
	plant(t, filepath.Join(dir, "..v.2", "other.key"), secret)
	must(t, os.Chmod(filepath.Join(dir, "..v.2", "other.key"), 0o755))
	must(t, ProjectFiles(dir, []File{{"server.crt", 0o644, []byte("d")}}, nil))
	if mode := modeOf(t, filepath.Join(dir, "..v.3", "other.key")); mode != 0o600 {
		t.Errorf("the other key has mode %04o", mode)
	}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if owner, err := OwnerOf(path); err != nil || *owner != stranger {
			t.Errorf("%s belongs to %v, %v", path, owner, err)
		}
		return nil
	}))
	if data, info, err := ReadGuarded(filepath.Join(dir, "server.key"), 100); err != nil || string(data) != "new" || info.Mode != 0o600 || info.Owner != stranger {
		t.Errorf("%q, %v, %v", data, info, err)
	}
}

// A file that is not for the owner of its folder never belongs to that owner.
func TestWriteFileForRootInTheFolderOfAnother(t *testing.T) {
	dir, _ := hostile(t)
	must(t, WriteFile(dir, File{"report", 0o600, []byte("r")}, Process()))
	if owner, err := OwnerOf(filepath.Join(dir, "report")); err != nil || owner.UID != 0 {
		t.Errorf("%v, %v", owner, err)
	}
}

// exchanging exchanges one of several names in dir with a symlink to vault, as often as it can, until
// the returned function is called.
func exchanging(t *testing.T, dir, vault string, names ...string) (stop func()) {
	t.Helper()
	evil := filepath.Join(dir, ".evil")
	must(t, os.Symlink(vault, evil))
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			for _, name := range names {
				// It fails until the name is there.
				_ = unix.Renameat2(unix.AT_FDCWD, evil, unix.AT_FDCWD, filepath.Join(dir, name), unix.RENAME_EXCHANGE)
			}
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	return func() { close(end); <-done }
}

// An attacker that exchanges the new folders with a symlink while root works never gets anything into a
// folder of root's, nor the folder itself. Whether the work succeeds meanwhile does not matter.
func TestExchangedFolders(t *testing.T) {
	for range exchanges {
		dir, vault := hostile(t)
		plant(t, filepath.Join(dir, "server.key"), "plain")
		stop := exchanging(t, dir, vault, "..v.1", "..v.2", ".b.1", "new", "server.key")
		_ = ProjectFiles(dir, []File{{"server.key", 0o777, []byte("key")}, {"server.crt", 0o644, []byte("c")}}, nil)
		_ = SwapBundle(dir, "b", []File{{"sub/f", 0o777, []byte("key")}, {"g", 0o644, []byte("c")}}, &stranger)
		_ = MakeDirs(filepath.Join(dir, "new", "sub"), &stranger)
		_ = WriteBelow(dir, "new/f", 0o777, []byte("key"))
		_ = Append(filepath.Join(dir, "new", "server.key"), []byte("key"))
		_, _ = ReadFolder(filepath.Join(dir, "b"))
		_ = RemoveAll(filepath.Join(dir, "new"))
		stop()
		checkVault(t, vault)
		if got := leaks(t, dir); len(got) > 0 {
			t.Fatalf("the secret got into %q", got)
		}
		if data, err := os.ReadFile(filepath.Join(vault, "server.key")); err != nil || string(data) != secret {
			t.Fatalf("%q, %v", data, err)
		}
		if t.Failed() {
			return
		}
	}
}
