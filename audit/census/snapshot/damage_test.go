package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcddb"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// smallSnapshot is one of a real member with free pages, a branch, and a value across pages.
func smallSnapshot(t *testing.T) []byte {
	t.Helper()
	s := start(t, release{version: etcdtest.V3_6})
	for i := range 60 {
		s.put(t, secret(i), plaintext("Secret", 300))
	}
	for i := range 60 {
		s.put(t, secret(i), sealed("k", 300))
	}
	s.put(t, "/registry/secrets/big/big", sealed("k", 20<<10))
	s.compact(t)
	s.put(t, secret(0), sealed("k2", 300))
	data, err := os.ReadFile(s.snapshot(t))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is not whole is never called intact, and never a panic; what can be read is told.
func TestDamage(t *testing.T) {
	t.Parallel()
	whole := smallSnapshot(t)
	c := mustCensus(t, write(t, whole))
	if !c.Snapshot.Intact() || !c.Complete || c.Objects != 61 || c.Residue.FreePages.Values == 0 {
		t.Fatalf("of the whole file: %+v, %d objects", c.Snapshot, c.Objects)
	}
	body := whole[:len(whole)-sha256.Size]

	t.Run("truncated", func(t *testing.T) {
		t.Parallel()
		partial, refused := 0, 0
		for n := 0; n < len(whole); n += 1021 { // a prime, so that all remainders come
			c := notIntact(t, whole[:n], fmt.Sprintf("the first %d of %d bytes", n, len(whole)))
			switch {
			case c == nil:
				refused++
				if n > 2*4096 {
					t.Errorf("%d bytes were refused as a whole", n)
				}
			case c.Complete || c.Reason == "" || c.Residue.Reason == "":
				t.Errorf("%d bytes: complete %v, %q", n, c.Complete, c.Reason)
			case c.Objects+c.Residue.FreePages.Values > 0:
				partial++
			}
		}
		if refused == 0 || partial < len(whole)/1021/2 {
			t.Errorf("%d were refused, of %d something was read", refused, partial)
		}
	})
	t.Run("a byte changed", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(1, 2))
		for range 700 {
			data := append([]byte(nil), whole...)
			at := random.IntN(len(data))
			data[at] ^= byte(1 << random.IntN(8))
			notIntact(t, data, fmt.Sprintf("byte %d", at))
		}
	})
	// Without a digest nothing is called intact. What is not noticed at all must not have
	// changed what is told of the current revision.
	told := func(c *audit.Census) string {
		return fmt.Sprint(c.Revision, c.Snapshot.Revisions, c.Outside, short(c.Resources, "secrets"))
	}
	whenNoticed := func(t *testing.T, data []byte, what string) {
		t.Helper()
		if got := notIntact(t, data, what); got != nil && got.Complete && told(got) != told(c) {
			t.Errorf("%s: %s, want %s", what, told(got), told(c))
		}
	}
	t.Run("a header changed, without a digest", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(3, 4))
		for range 700 {
			data := append([]byte(nil), body...)
			at := random.IntN(len(data)/4096)*4096 + random.IntN(64)
			data[at] ^= byte(1 + random.IntN(255))
			whenNoticed(t, data, fmt.Sprintf("byte %d", at))
		}
	})
	t.Run("a page of another place", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(5, 6))
		for range 300 {
			data := append([]byte(nil), body...)
			from, to := random.IntN(len(data)/4096), random.IntN(len(data)/4096)
			copy(data[to*4096:(to+1)*4096], data[from*4096:])
			whenNoticed(t, data, fmt.Sprintf("page %d over %d", from, to))
		}
	})
	t.Run("another digest", func(t *testing.T) {
		t.Parallel()
		data := append([]byte(nil), whole...)
		data[len(data)-1]++
		c := notIntact(t, data, "digest")
		if c.Snapshot.Digest != audit.DigestDiffers || c.Objects != 61 || c.Complete || !strings.Contains(c.Reason, "SHA-256") {
			t.Errorf("%+v, %d objects, %q", c.Snapshot, c.Objects, c.Reason)
		}
	})
	t.Run("no digest", func(t *testing.T) {
		t.Parallel()
		c := notIntact(t, body, "digest")
		if c.Snapshot.Digest != audit.DigestAbsent || c.Objects != 61 || !c.Complete {
			t.Errorf("%+v, %d objects, %q", c.Snapshot, c.Objects, c.Reason)
		}
	})
	t.Run("something behind it", func(t *testing.T) {
		t.Parallel()
		for _, more := range []string{"\n", strings.Repeat("\x00", 32), strings.Repeat("x", 512)} {
			c := notIntact(t, append(append([]byte(nil), whole...), more...), "more")
			if c.Complete || c.Objects != 61 {
				t.Errorf("%d bytes more: %+v", len(more), c.Snapshot)
			}
		}
	})
	t.Run("one meta page", func(t *testing.T) {
		t.Parallel()
		// A snapshot has the newer state in its first meta page, and the same in its second.
		for at := range 2 {
			data := append([]byte(nil), body...)
			data[at*4096+16+20]++ // behind the header of the page
			if c := notIntact(t, data, fmt.Sprintf("meta page %d", at)); c == nil || c.Objects != 61 || c.Complete {
				t.Errorf("meta page %d: %+v", at, c)
			}
		}
	})
}

// notIntact reads a file that is not what etcd wrote.
func notIntact(t *testing.T, data []byte, what string) *audit.Census {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(path) }() // thousands of them would fill the folder
	c, err := Census(t.Context(), path, options())
	if err != nil {
		if c.Snapshot != nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), marker) {
			t.Errorf("%s: %v", what, err)
		}
		return nil
	}
	if c.Snapshot.Intact() {
		t.Errorf("%s: called intact", what)
	}
	if c.Snapshot.FaultCount > 0 != c.Snapshot.Partial || c.Snapshot.Partial && (c.Complete || len(c.Snapshot.Faults) == 0) {
		t.Errorf("%s: %+v, complete %v", what, c.Snapshot, c.Complete)
	}
	return &c
}

func TestNoDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	db, err := bolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("v1"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, path, want string }{
		{"empty", write(t, nil), "the file is empty"},
		{"32 bytes", write(t, make([]byte, 32)), "too short"},
		{"zeros", write(t, make([]byte, 1<<20)), "no bbolt database"},
		{"another program's", write(t, []byte(strings.Repeat("SQLite format 3\x00", 1000))), "no bbolt database"},
		{"bbolt of another program", foreign, `no bucket "key"`},
		{"a folder", dir, "no member/snap/db"},
		{"nothing", filepath.Join(dir, "nothing"), "no such file"},
		{"a named pipe", pipe, "not a regular file"},
		{"a device", "/dev/zero", "not a regular file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Census(t.Context(), c.path, options())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A file that is cut off while it is mapped is an error, and no crash.
func TestCutOffWhileMapped(t *testing.T) {
	t.Parallel()
	path := write(t, make([]byte, 1<<20))
	m, err := etcddb.OpenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	err = etcddb.Guard(func() error {
		_, err := scan(t.Context(), bytesOf{data: m.Data}, func(trace) {})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "cut off") || !m.Changed() {
		t.Errorf("%v, changed %v", err, m.Changed())
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Census(ctx, write(t, bareDatabase(t)), options()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// bareDatabase has the buckets of etcd, and nothing in them.
func bareDatabase(t *testing.T) []byte {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "bare.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var data bytes.Buffer
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"meta", "key"} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = db.View(func(tx *bolt.Tx) error {
			_, err := tx.WriteTo(&data)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}
