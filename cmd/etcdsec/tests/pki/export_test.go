package pki_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// snapshot returns everything below a folder: names, modes, times and contents.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v %v\n", path, info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%x\n", sha256.Sum256(data))
			files++
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Fatalf("%d files in %s, %v", files, dir, err)
	}
	return b.String()
}

// keys returns the private keys below a folder in PEM, by path.
func keys(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".key") {
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = data
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("%d keys in %s, %v", len(found), dir, err)
	}
	return found
}

// containsKey reports whether data contains any line of a key, in PEM or in base64.
func containsKey(data, keyPEM []byte) bool {
	if bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(keyPEM))) {
		return true
	}
	for line := range bytes.Lines(keyPEM) {
		if body := bytes.TrimSpace(line); len(body) > 40 && bytes.Contains(data, body) {
			return true
		}
	}
	return false
}

// Whatever is exported, and whether it succeeds, the store stays as it is to the byte, no
// key and no password is printed, and no authority's key leaves the store.
func TestExportChangesNothingAndPrintsNoSecret(t *testing.T) {
	spec, dir := writeSpec(t), t.TempDir()
	store := filepath.Join(dir, "store")
	if out, err := clitest.Command(t, "bootstrap", "-f", spec, store).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const password = "never to be seen"
	passwordPath := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordPath, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, secrets := snapshot(t, store), keys(t, store)
	out := filepath.Join(dir, "out")
	p12 := []string{"pki", "export", "pkcs12", store, "auditor", filepath.Join(out, "auditor.p12"), "--password-file", passwordPath}
	cases := []struct {
		status int
		args   []string
	}{
		{clitest.StatusDone, []string{"pki", "export", "secrets", store, out}},
		{clitest.StatusDone, []string{"pki", "export", "secrets", store, out, "--dry-run"}},
		{clitest.StatusDone, []string{"pki", "export", "secrets", store, out, "-o", "json"}},
		{clitest.StatusFailed, []string{"pki", "export", "secrets", store, out, "--namespace", "other"}},
		{clitest.StatusDone, []string{"pki", "export", "secrets", store, out, "--namespace", "other", "--force"}},
		{clitest.StatusFailed, []string{"pki", "export", "secrets", store, out, "--style", "bitnami", "etcd-0"}},
		{clitest.StatusUsage, []string{"pki", "export", "secrets", store, filepath.Join(store, "out")}},
		{clitest.StatusUsage, []string{"pki", "export", "secrets", store, out, "client-root"}},
		{clitest.StatusDone, []string{"pki", "export", "tar", store, out}},
		{clitest.StatusDone, []string{"pki", "export", "tar", store, out, "-o", "json"}},
		{clitest.StatusUsage, []string{"pki", "export", "tar", store, store}},
		{clitest.StatusDone, p12},
		{clitest.StatusDone, slices.Concat(p12, []string{"-o", "json"})},
		{clitest.StatusUsage, slices.Concat(p12, []string{"--password", password})},
		{clitest.StatusUsage, []string{"pki", "export", "pkcs12", store, "auditor", filepath.Join(store, "x.p12"), "--password-file", passwordPath}},
	}
	for _, tc := range cases {
		status, stdout, stderr := clitest.Run(t, tc.args...)
		if status != tc.status {
			t.Errorf("%q: status %d, want %d\n%s", tc.args, status, tc.status, stderr)
		}
		if after := snapshot(t, store); after != before {
			t.Errorf("%q changed the store", tc.args)
			before = after
		}
		printed := []byte(stdout + stderr)
		for path, key := range secrets {
			if containsKey(printed, key) {
				t.Errorf("%q printed %s", tc.args, path)
			}
		}
		if bytes.Contains(printed, []byte(password)) {
			t.Errorf("%q printed the password", tc.args)
		}
	}
	checkExported(t, out, secrets)
}

func checkExported(t *testing.T, out string, secrets map[string][]byte) {
	t.Helper()
	exported := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		for path, key := range secrets {
			if containsKey(data, key) {
				exported[path] = true
			}
		}
	}
	leaves := 0
	for path := range secrets {
		authority := strings.Contains(path, "/authorities/")
		if !authority {
			leaves++
		}
		if exported[path] == authority {
			t.Errorf("%s: exported %t", path, exported[path])
		}
	}
	// A Secret for each leaf, an archive for each member, and a PKCS #12 file.
	if want := leaves + 3 + 1; len(files) != want || leaves != clitest.ThreeMembersKeys-5 {
		t.Errorf("%d files, want %d, for %d leaves", len(files), want, leaves)
	}
}
