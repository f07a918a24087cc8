package durable

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Processes that write one file at the same time without a lock: each write succeeds, readers see
// one of them as a whole, and nothing is left.
func TestWriteFileAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			data := bytes.Repeat([]byte{'a' + byte(i)}, 1<<16)
			for range 10 {
				if err := WriteFile(dir, File{"f", 0o600, data}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	got, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || len(got) != 1<<16 || len(bytes.Trim(got, string(got[:1]))) != 0 {
		t.Errorf("%d bytes, not those of one writer; %v", len(got), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// A temporary file that a running process writes stays, and so does what only looks like one.
func TestRemoveTemporary(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".f.tmp", ".f.ABCDEFGH.tmp", ".g.ABCDEFGH.tmp", ".g.tmp", "f.tmp", ".f", ".tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	writing, err := d.create(".f.IJKLMNOP.tmp", File{Mode: 0o600}, nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	if err := d.removeTemporary("f"); err != nil {
		t.Fatal(err)
	}
	check(".f", ".f.IJKLMNOP.tmp", ".g.ABCDEFGH.tmp", ".g.tmp", ".tmp", "f.tmp")
	if err := RemoveTemporary(dir); err != nil {
		t.Fatal(err)
	}
	check(".f", ".f.IJKLMNOP.tmp", ".g.tmp", ".tmp", "f.tmp")
	if err := writing.Close(); err != nil {
		t.Fatal(err)
	}
	if err := RemoveTemporary(dir); err != nil {
		t.Fatal(err)
	}
	check(".f", ".g.tmp", ".tmp", "f.tmp")
}
