package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asStranger calls do without the permissions of root, in this thread only. Another user has none anyhow.
func asStranger(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(1234); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	do()
}

// What nobody may look at is never said to be missing: the advice would be to put back what is there.
func TestPermissionIsNotAbsence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	plan := NewPlan(c)
	issue(t, dir, c, testNow())
	renew(t, dir, c, testNow(), Renewal{All: true})
	if os.Getuid() == 0 { // so that the stranger comes as far as the closed folder
		for _, at := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
			if err := os.Chmod(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	authority := filepath.Join(dir, "authorities")
	if err := os.Chmod(authority, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(authority, 0o700) }) // for the removal
	root := plan.authority(ClientRoot)
	store := &Store{Dir: dir}
	asStranger(t, func() {
		for what, err := range map[string]error{
			"checkLost":     store.checkLost(plan),
			"checkSymlinks": store.checkSymlinks(),
			"formerKey":     errorOf(store.formerKey(root)),
			"ReadLeafFile":  errorOf(ReadLeafFile(filepath.Join(authority, "client-root", "ca.crt"))),
			"hasFiles":      errorOf(hasFiles(dir, "authorities/client-root/ca.crt")),
			"exists":        errorOf(exists(filepath.Join(authority, "client-root"))),
		} {
			if !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "missing") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if place := placeOfKey(dir, root); !strings.Contains(place.what, "permission denied") || strings.Contains(place.what, "not in the store") {
			t.Errorf("the place of a key: %q", place.what)
		}
		found, err := store.Verify(c, testNow())
		if err == nil && len(found) == 0 {
			t.Error("verify found nothing")
		}
		for _, f := range found {
			if strings.HasPrefix(f.Path, "authorities") && (strings.Contains(f.Problem, "missing") || strings.Contains(f.Problem, "leads nowhere")) {
				t.Errorf("verify: %s: %s", f.Path, f.Problem)
			}
		}
	})
}

// Nobody is told to renew, replace or revoke what is there and only closed to this user.
func TestVerifyAsAStranger(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(dir)), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ledgerName, headName} { // the stranger reads them, as their owner would
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{"authorities/peer-issuing", "clients/auditor", "nodes/etcd-0/pki/server.key", "ledger.jsonl"} {
		closed := filepath.Join(dir, at)
		info, err := os.Stat(closed)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(closed, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(closed, info.Mode().Perm()) })
		var found []Finding
		asStranger(t, func() {
			if found, err = (&Store{Dir: dir}).Verify(c, testNow()); err != nil {
				t.Fatal(err)
			}
		})
		told := false
		for _, f := range found {
			if !strings.HasPrefix(f.Path, at) && f.Path != ledgerName {
				continue
			}
			for _, line := range f.Fix {
				told = told || strings.HasPrefix(line.Text, "run this as a user who can read it")
				if line.Paste && !strings.HasPrefix(line.Text, "chmod") || strings.Contains(line.Text, "restore") {
					t.Errorf("%s: %s: %s; fix: %s", at, f.Path, f.Problem, line.Text)
				}
			}
		}
		if !told {
			t.Errorf("%s: no finding", at)
		}
		if err := os.Chmod(closed, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// errorOf returns the error of a call.
func errorOf[V any](_ V, err error) error { return err }
