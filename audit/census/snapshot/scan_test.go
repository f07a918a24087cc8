package snapshot

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// stored is mvccpb.KeyValue as etcd writes it.
func stored(key, value string) []byte {
	b := protowire.AppendTag(nil, 1, protowire.BytesType)
	b = protowire.AppendString(b, key)
	for _, f := range []struct {
		number protowire.Number
		value  uint64
	}{{2, 12345}, {3, 1 << 40}, {4, 3}} {
		b = protowire.AppendTag(b, f.number, protowire.VarintType)
		b = protowire.AppendVarint(b, f.value)
	}
	b = protowire.AppendTag(b, 5, protowire.BytesType)
	return protowire.AppendString(b, value)
}

// put is etcdserverpb.PutRequest as it is in a WAL.
func put(key, value string) []byte {
	b := protowire.AppendTag(nil, 1, protowire.BytesType)
	b = protowire.AppendString(b, key)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendString(b, value)
}

func mustScan(t *testing.T, data []byte, found func(trace)) {
	t.Helper()
	if err := scan(t.Context(), data, found); err != nil {
		t.Fatal(err)
	}
}

func TestScan(t *testing.T) {
	const secret = "/registry/secrets/default/s"
	sealed := "k8s:enc:secretbox:v1:k1:" + strings.Repeat("\x80", 80)
	plain := "k8s\x00\n\x0c\n\x02v1\x12\x06Secret" + strings.Repeat("x", 200)
	applied := plain + `{"apiVersion":"v1","kind":"Secret","data":{}}`
	long := "/registry/secrets/" + strings.Repeat("n", 253) + "/" + strings.Repeat("s", 253)
	cases := []struct {
		name string
		data []byte
		want []string // key, the value's first bytes, and its length
	}{
		{"nothing", bytes.Repeat([]byte{0, 'k', '8'}, 1000), nil},
		{"key and value of a database", stored(secret, sealed), []string{secret + " k8s:enc: 104"}},
		{"of a WAL", put(secret, plain), []string{secret + " k8s\x00\n\x0c\n\x02 218"}},
		{"a long key", stored(long, plain), []string{long + " k8s\x00\n\x0c\n\x02 218"}},
		{"a key as long as the tag of a key", put("/a/b/c/d/e", sealed), []string{"/a/b/c/d/e k8s:enc: 104"}},
		{"a value that is cut off", stored(secret, sealed)[:80], []string{secret + " k8s:enc: 104"}},
		{"a value without its key", append(bytes.Repeat([]byte{0xff}, 50), plain...), []string{" k8s\x00\n\x0c\n\x02 0"}},
		{"a value at the very beginning", []byte(sealed), []string{" k8s:enc: 0"}},
		{"JSON", stored("/registry/stable.example.com/crontabs/a/b", `{"apiVersion":"stable.example.com/v1","kind":"CronTab"}`),
			[]string{"/registry/stable.example.com/crontabs/a/b {\"apiVer 55"}},
		{"JSON of a type of Kubernetes' own", put(secret, `{"kind":"Secret","apiVersion":"v1"}`), []string{secret + " {\"kind\": 35"}},
		{"CBOR", put(secret, "\xd9\xd9\xf7\xa1abcdef"), []string{secret + " \xd9\xd9\xf7\xa1abcd 10"}},
		{"bytes like CBOR", []byte("....\xd9\xd9\xf7\xa1abcdef"), nil},
		{"an annotation inside of a value", stored(secret, applied), []string{secret + " k8s\x00\n\x0c\n\x02 263"}},
		{"an annotation of which the value is gone", []byte(applied[100:]), []string{" {\"apiVer 0"}},
		{"a value in the rest of another", append(stored(secret, applied)[:120], stored("/registry/secrets/b/c", sealed)...),
			[]string{secret + " k8s\x00\n\x0c\n\x02 263", "/registry/secrets/b/c k8s:enc: 104"}},
		{"two of them", append(put(secret, sealed), put(secret+"2", plain)...), []string{secret + " k8s:enc: 104", secret + "2 k8s\x00\n\x0c\n\x02 218"}},
		{"a mention of the prefix", []byte("the prefix k8s:enc is written; k8s too; k8s\x00 as well"), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			mustScan(t, c.data, func(tr trace) {
				got = append(got, fmt.Sprintf("%s %s %d", tr.key, tr.value[:min(8, len(tr.value))], tr.length))
			})
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// A value is found wherever the windows begin and end.
func TestScanAcrossWindows(t *testing.T) {
	one := stored("/registry/secrets/a/b", "k8s:enc:aescbc:v1:k:"+strings.Repeat("\x01", 32))
	for at := window - len(one) - 2; at <= window+2; at++ {
		data := make([]byte, 2*window)
		copy(data[at:], one)
		n := 0
		mustScan(t, data, func(tr trace) {
			n++
			if string(tr.key) != "/registry/secrets/a/b" {
				t.Errorf("at %d: key %q", at, tr.key)
			}
		})
		if n != 1 {
			t.Errorf("at %d: found %d times", at, n)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(stored("/registry/secrets/default/s", "k8s:enc:secretbox:v1:k1:abc"))
	f.Add(put("/registry/secrets/default/s", "k8s\x00\n\x0c"))
	f.Add([]byte(`{"kind":"Secret","apiVersion":"v1"}`))
	f.Add([]byte("k8s:enc:"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		last := 0
		mustScan(t, data, func(tr trace) {
			at := cap(data) - cap(tr.value) // both end where the memory does
			if at < last || len(tr.value) == 0 || at+len(tr.value) > len(data) {
				t.Fatalf("a value of %d bytes at %d of %d, after one at %d", len(tr.value), at, len(data), last)
			}
			last = at
			if (tr.key == nil) != (tr.length == 0) || len(tr.value) > tr.length && tr.key != nil {
				t.Fatalf("key %q, %d bytes of %d", tr.key, len(tr.value), tr.length)
			}
		})
		// What is framed is found behind anything.
		n := 0
		framed := stored("/registry/secrets/default/s", "k8s:enc:secretbox:v1:k1:abc")
		mustScan(t, append(bytes.Clone(data), framed...), func(tr trace) {
			if string(tr.key) == "/registry/secrets/default/s" {
				n++
			}
		})
		if n == 0 {
			t.Fatal("the value behind was not found")
		}
	})
}
