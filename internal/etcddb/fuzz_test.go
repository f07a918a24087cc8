package etcddb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"
)

// tinyDatabase has a tree of two levels in the fewest bytes.
func tinyDatabase(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		if err := db.Update(func(tx *bolt.Tx) error {
			for _, name := range []string{"meta", "key", "cluster"} {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			for i := range 20 {
				revision := make([]byte, revisionSize)
				binary.BigEndian.PutUint64(revision, uint64(100*round+i+1))
				revision[8] = '_'
				value := stored(fmt.Sprintf("/registry/secrets/default/s%04d", i%10), "k8s:enc:secretbox:v1:k1:"+strings.Repeat("\x80", 60))
				value = append(value[:0:0], withRevision(value, uint64(100*round+i+1))...)
				if err := tx.Bucket([]byte("key")).Put(revision, value); err != nil {
					return err
				}
			}
			return tx.Bucket([]byte("cluster")).Put([]byte("clusterVersion"), []byte("3.6.0"))
		}); err != nil {
			t.Fatal(err)
		}
	}
	var data bytes.Buffer
	if err := db.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(&data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// FuzzPages changes bytes of a database, whose meta pages are then given their checksum
// again, so that what is changed is read. The input is a list of places and values.
func FuzzPages(f *testing.F) {
	base := tinyDatabase(f)
	f.Add([]byte{})
	f.Add([]byte{0x20, 0x04, 0xff})
	f.Add([]byte{0x08, 0x0c, 0x01, 0x0a, 0x0c, 0xff})
	for at := uint16(2048); at < 6000; at += 97 {
		f.Add([]byte{byte(at), byte(at >> 8), 0x02})
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		data := append([]byte(nil), base...)
		for ; len(patch) >= 3; patch = patch[3:] {
			data[int(binary.LittleEndian.Uint16(patch))%len(data)] = patch[2]
		}
		for _, at := range []int{0, 1024} {
			meta := data[at+pageHeaderSize:][:metaSize]
			sum := fnv.New64a()
			_, _ = sum.Write(meta[:metaSize-8])
			binary.LittleEndian.PutUint64(meta[metaSize-8:], sum.Sum64())
		}
		readAny(t, data)
	})
}

// FuzzFile reads anything as a file.
func FuzzFile(f *testing.F) {
	f.Add(tinyDatabase(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) { readAny(t, data) })
}

// readAny reads all of a file that anybody wrote.
func readAny(t *testing.T, data []byte) {
	t.Helper()
	d, err := Open(t.Context(), data)
	if err != nil {
		return
	}
	_, err = d.Read(t.Context(), func(r Revision) {
		if len(r.Key) == 0 || len(r.Key)+len(r.Value) > len(data) {
			t.Fatalf("a key of %d bytes", len(r.Key))
		}
	})
	if err != nil && !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
	visited := 0
	free, zeros, err := d.Unused(t.Context(), func(part []byte, _ int) error {
		visited += len(part)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if free > int64(d.Pages()) || visited+int(zeros) > len(data) || len(d.Faults.First) > d.Faults.Count {
		t.Fatalf("%d free pages, %d bytes visited and %d zeros of %d, %d faults", free, visited, zeros, len(data), d.Faults.Count)
	}
}

// stored is what etcd stores at a revision.
func stored(key, value string) []byte {
	var b []byte
	b = protowire.AppendString(protowire.AppendTag(b, keyField, protowire.BytesType), key)
	b = protowire.AppendVarint(protowire.AppendTag(b, createRevisionField, protowire.VarintType), 1)
	b = protowire.AppendVarint(protowire.AppendTag(b, modRevisionField, protowire.VarintType), 2)
	b = protowire.AppendVarint(protowire.AppendTag(b, versionField, protowire.VarintType), 1)
	return protowire.AppendString(protowire.AppendTag(b, valueField, protowire.BytesType), value)
}
