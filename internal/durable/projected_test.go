package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestProjectFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"server.key": "plain key", "other": "not ours"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, round := range []string{"1", "2", "3"} {
		files := []File{{"server.crt", 0o644, []byte("cert " + round)}, {"server.key", 0o600, []byte("key " + round)}}
		if err := ProjectFiles(dir, files, nil); err != nil {
			t.Fatal(err)
		}
		if read("server.crt") != "cert "+round || read("server.key") != "key "+round || read("other") != "not ours" {
			t.Errorf("round %s: %q %q %q", round, read("server.crt"), read("server.key"), read("other"))
		}
		if round == "1" && read("..v.1/server.key") != "plain key" {
			t.Errorf("the plain file was not kept: %q", read("..v.1/server.key"))
		}
	}
	// A file that is not given again stays.
	if err := ProjectFiles(dir, []File{{"ca.crt", 0o644, []byte("ca")}}, nil); err != nil {
		t.Fatal(err)
	}
	if read("server.key") != "key 3" || read("ca.crt") != "ca" {
		t.Errorf("%q %q", read("server.key"), read("ca.crt"))
	}
	if modeOf(t, filepath.Join(dir, "server.key")) != 0o600 || modeOf(t, filepath.Join(dir, "server.crt")) != 0o644 {
		t.Error("modes were lost")
	}
	versions, err := filepath.Glob(filepath.Join(dir, "..v.*"))
	if err != nil || len(versions) != 2 {
		t.Errorf("%v %v: want the version and the one before", versions, err)
	}
}

func TestProjectFilesRefusesAForeignLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("..2026_11_21", filepath.Join(dir, "..data")); err != nil { // a kubelet's
		t.Fatal(err)
	}
	if err := ProjectFiles(dir, []File{{"f", 0o600, nil}}, nil); err == nil {
		t.Error("another program's folder was taken over")
	}
}
