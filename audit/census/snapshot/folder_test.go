package snapshot

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// pack packs a file by gzip, or for a name with .zip by zip.
func pack(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	packer := gzip.NewWriter(&b)
	to, end := io.Writer(packer), io.Closer(packer)
	if strings.HasSuffix(name, ".zip") {
		archive := zip.NewWriter(&b)
		one, err := archive.Create("snapshot")
		if err != nil {
			t.Fatal(err)
		}
		to, end = one, archive
	}
	if _, err := to.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := end.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A key is still needed by a snapshot of real etcd whatever its file is called and however it is packed.
func TestNeeding(t *testing.T) {
	data, dir, unpacking := smallSnapshot(t), t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", unpacking)
	write := func(name string, data []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"2026-11-01-000001/etcd.backup.gz", "a.db", "etcd-snapshot-cp-0-1764000000", "etcd-snapshot-cp-0-1764000001.zip", "x.gz"}
	for _, name := range names {
		if strings.HasSuffix(name, "gz") || strings.HasSuffix(name, ".zip") {
			write(name, pack(t, name, data))
		} else {
			write(name, data)
		}
	}
	write("a.db.sha256", []byte("0123"))
	write("b.db.part", data[:100])
	folder := Folder{Dir: dir, Options: options(), Now: time.Now}
	known := audit.Writer{Provider: audit.SecretboxProvider, Key: "k"}
	found, err := folder.Needing(t.Context(), []audit.Writer{known})
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		if found[i], err = filepath.Rel(dir, found[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(found, names) {
		t.Errorf("got %q, want %q", found, names)
	}
	if left, err := os.ReadDir(unpacking); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if found, err := folder.Needing(t.Context(), []audit.Writer{{Provider: audit.SecretboxProvider, Key: "other"}}); err != nil || len(found) > 0 {
		t.Errorf("a key of none is needed by %q: %v", found, err)
	}
	// What cannot be looked into is no snapshot without the key.
	for name, data := range map[string][]byte{"y.db.zst": {0x28}, "cut.gz": pack(t, "cut.gz", data)[:1000], "cut.zip": pack(t, "cut.zip", data)[:1000]} {
		write(name, data)
		if _, err := folder.Needing(t.Context(), []audit.Writer{known}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}
