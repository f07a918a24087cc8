package durable

import (
	"os"
	"path/filepath"
	"strings"
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

// A folder whose "..data" was removed at its first version still has the keys there. Neither an install nor a
// sweep takes that version for what a killed run left.
func TestProjectedFolderThatLostItsLink(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, projectedName(1), "server.key")
	if err := os.Mkdir(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte("the key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(DataLink, "server.key"), filepath.Join(dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"install": func() error {
			return ProjectFiles(dir, []File{{"server.key", 0o600, []byte("another key")}}, nil)
		},
		"sweep": func() error { return SweepProjected(dir) },
	} {
		err := change()
		if err == nil || !strings.Contains(err.Error(), "ln -s ..v.1 ..data") {
			t.Errorf("%s: %v", name, err)
		}
		if data, err := os.ReadFile(at); err != nil || string(data) != "the key" {
			t.Errorf("%s: the key is %q, %v", name, data, err)
		}
	}
	if err := os.Symlink(projectedName(1), filepath.Join(dir, DataLink)); err != nil {
		t.Fatal(err)
	}
	if err := ProjectFiles(dir, []File{{"server.crt", 0o644, []byte("cert")}}, nil); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "server.key")); err != nil || string(data) != "the key" {
		t.Errorf("with the symlink again: %q, %v", data, err)
	}
}
