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
	"github.com/etcdsec/etcdsec/audit/census"
)

// A snapshot that cannot be read to its end may need any key.
func TestFolderWithDamage(t *testing.T) {
	t.Parallel()
	whole := smallSnapshot(t)
	needed := []audit.Writer{{Provider: audit.SecretboxProvider, Key: "k2"}}
	other := []audit.Writer{{Provider: audit.SecretboxProvider, Key: "other"}}
	overwritten := slices.Clone(whole)
	for at := 4 * os.Getpagesize(); at < len(overwritten)-4096; at++ {
		overwritten[at] ^= 0xff
	}
	for name, c := range map[string]struct {
		data    []byte
		damaged bool
	}{
		"whole":       {data: whole},
		"empty":       {[]byte{}, true},
		"no database": {[]byte(strings.Repeat("x", 8192)), true},
		"cut in two":  {whole[:len(whole)/2/4096*4096], true},
		"overwritten": {overwritten, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.data)
			folder := Folder{Dir: filepath.Dir(path), Now: time.Now, Options: Options{Layout: census.DefaultLayout()}}
			found, err := folder.Needing(t.Context(), other)
			switch {
			case len(found) > 0:
				t.Errorf("needing another key: %q", found)
			case c.damaged && (err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "may need the key")):
				t.Errorf("got %v", err)
			case !c.damaged && err != nil:
				t.Error(err)
			}
			if found, err := folder.Needing(t.Context(), needed); !c.damaged && (err != nil || !slices.Equal(found, []string{path})) || c.damaged && err == nil && len(found) == 0 {
				t.Errorf("its key: %q, %v", found, err)
			}
			folder.Expiry, folder.Now = time.Hour, func() time.Time { return time.Now().Add(2 * time.Hour) }
			if found, err := folder.Needing(t.Context(), needed); err != nil || len(found) > 0 {
				t.Errorf("expired: %q, %v", found, err)
			}
			folder.Expiry, folder.Options.Layout = 0, census.NewLayout("/elsewhere")
			if found, err := folder.Needing(t.Context(), needed); err == nil || len(found) > 0 {
				t.Errorf("below another prefix: %q", found)
			}
		})
	}
}

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
	other := audit.Writer{Provider: audit.SecretboxProvider, Key: "other"}
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
	if found, err := folder.Needing(t.Context(), []audit.Writer{other}); err != nil || len(found) > 0 {
		t.Errorf("a key of none is needed by %q: %v", found, err)
	}
	// A snapshot that cannot be read may need any key.
	for name, data := range map[string][]byte{"y.db.zst": {0x28}, "cut.gz": pack(t, "cut.gz", data)[:1000], "cut.zip": pack(t, "cut.zip", data)[:1000]} {
		write(name, data)
		if found, err := folder.Needing(t.Context(), []audit.Writer{other}); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "may need the key") {
			t.Errorf("%s: %q %v", name, found, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}
