package etcddb

import (
	"bytes"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// withRevision sets the revision of what stored returns.
func withRevision(keyValue []byte, revision uint64) []byte {
	b := protowire.AppendTag(bytes.Clone(keyValue), modRevisionField, protowire.VarintType)
	return protowire.AppendVarint(b, revision)
}

func TestParseRevision(t *testing.T) {
	eight := func(n byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, n} }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	cases := []struct {
		name          string
		key           []byte
		main          int64
		tombstone, ok bool
	}{
		{"a revision", join(eight(7), []byte("_"), eight(1)), 7, false, true},
		{"a deletion", join(eight(7), []byte("_"), eight(0), []byte("t")), 7, true, true},
		{"another mark", join(eight(7), []byte("_"), eight(0), []byte("x")), 0, false, false},
		{"another separator", join(eight(7), []byte("-"), eight(0)), 0, false, false},
		{"too short", join(eight(7), []byte("_")), 0, false, false},
		{"none", nil, 0, false, false},
		{"zero", join(eight(0), []byte("_"), eight(0)), 0, false, false},
		{"negative", join(bytes.Repeat([]byte{0xff}, 8), []byte("_"), eight(0)), -1, false, false},
	}
	for _, c := range cases {
		main, tombstone, ok := parseRevision(c.key)
		if main != c.main || tombstone != c.tombstone || ok != c.ok {
			t.Errorf("%s: %d %v %v", c.name, main, tombstone, ok)
		}
	}
}

func TestParseKeyValueAllocatesNothing(t *testing.T) {
	data := stored("/registry/secrets/a/b", "k8s:enc:secretbox:v1:k:")
	if n := testing.AllocsPerRun(100, func() { _, _ = parseKeyValue(data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What is accepted is what etcd's own code reads, with the same fields.
func FuzzKeyValue(f *testing.F) {
	f.Add(stored("/registry/secrets/a/b", "k8s:enc:secretbox:v1:k:x"))
	f.Add(withRevision(stored("/a", ""), 1<<62))
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := parseKeyValue(data)
		if !ok {
			return
		}
		var want mvccpb.KeyValue
		if err := proto.Unmarshal(data, &want); err != nil {
			t.Fatalf("etcd refuses it: %v", err)
		}
		if !bytes.Equal(got.key, want.Key) || !bytes.Equal(got.value, want.Value) || got.modRevision != want.ModRevision {
			t.Fatalf("%q %q %d; etcd has %q %q %d", got.key, got.value, got.modRevision, want.Key, want.Value, want.ModRevision)
		}
	})
}
