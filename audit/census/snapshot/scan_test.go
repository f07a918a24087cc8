package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
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

func mustScan(t *testing.T, data []byte, found func(trace)) (candidates int64) {
	t.Helper()
	candidates, err := scan(t.Context(), bytesOf{data: data}, found)
	if err != nil {
		t.Fatal(err)
	}
	return candidates
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
		want []string // key, the value's first bytes, and its length; or how many candidates there are
	}{
		{"nothing", bytes.Repeat([]byte{0, 'k', '8'}, 1000), nil},
		{"key and value of a database", stored(secret, sealed), []string{secret + " k8s:enc: 104"}},
		{"of a WAL", put(secret, plain), []string{secret + " k8s\x00\n\x0c\n\x02 218"}},
		{"a long key", stored(long, plain), []string{long + " k8s\x00\n\x0c\n\x02 218"}},
		{"a key as long as the tag of a key", put("/a/b/c/d/e", sealed), []string{"/a/b/c/d/e k8s:enc: 104"}},
		{"a value that is cut off", stored(secret, sealed)[:80], []string{secret + " k8s:enc: 104"}},
		{"a value without its key", append(bytes.Repeat([]byte{0xff}, 50), plain...), []string{"1"}},
		{"a value at the very beginning", []byte(sealed), []string{"1"}},
		{"JSON", stored("/registry/stable.example.com/crontabs/a/b", `{"apiVersion":"stable.example.com/v1","kind":"CronTab"}`),
			[]string{"/registry/stable.example.com/crontabs/a/b {\"apiVer 55"}},
		{"JSON of a type of Kubernetes' own", put(secret, `{"kind":"Secret","apiVersion":"v1"}`), []string{secret + " {\"kind\": 35"}},
		{"CBOR", put(secret, "\xd9\xd9\xf7\xa1abcdef"), []string{secret + " \xd9\xd9\xf7\xa1abcd 10"}},
		{"bytes like CBOR", []byte("....\xd9\xd9\xf7\xa1abcdef"), nil},
		{"an annotation inside of a value", stored(secret, applied), []string{secret + " k8s\x00\n\x0c\n\x02 263"}},
		{"an annotation of which the value is gone", []byte(applied[100:]), []string{"1"}},
		{"a value in another", stored(secret, plain+string(stored("/registry/secrets/b/c", sealed))), []string{secret + " k8s\x00\n\x0c\n\x02 359"}},
		{"two of them", append(put(secret, sealed), put(secret+"2", plain)...), []string{secret + " k8s:enc: 104", secret + "2 k8s\x00\n\x0c\n\x02 218"}},
		{"a mention of the prefix", []byte("the prefix k8s:enc is written; k8s too; k8s\x00 as well"), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			candidates := mustScan(t, c.data, func(tr trace) {
				got = append(got, fmt.Sprintf("%s %s %d", tr.key, tr.value[:min(8, len(tr.value))], tr.length))
			})
			if candidates > 0 {
				got = append(got, fmt.Sprint(candidates))
			}
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

// leafPage is the beginning of a page of a database, with what follows its header.
func leafPage(id, overflow int, content []byte) []byte {
	page := binary.LittleEndian.AppendUint64(nil, uint64(id))
	page = binary.LittleEndian.AppendUint16(page, 2) // a leaf
	page = binary.LittleEndian.AppendUint16(page, 1)
	page = binary.LittleEndian.AppendUint32(page, uint32(overflow))
	return append(page, content...)
}

// In the pages of a database, a value ends where its page does, or where another page begins that was
// written over it.
func TestScanPages(t *testing.T) {
	const pageSize, key = 512, "/registry/secrets/a/b"
	sealed := "k8s:enc:secretbox:v1:k1:" + strings.Repeat("\x80", 80)
	long := "k8s\x00\n\x0c\n\x02v1" + strings.Repeat("x", 3*pageSize) + string(stored("/registry/secrets/in/it", sealed)) + strings.Repeat("x", pageSize)
	pages := func(at int, all ...[]byte) []byte {
		var data []byte
		for _, p := range all {
			data = append(data, p...)
			data = append(data, make([]byte, (pageSize-len(data)%pageSize)%pageSize)...)
		}
		return data[at:]
	}
	value := leafPage(7, 5, stored(key, long))
	rest := pages(0, value)[2*pageSize:]
	inner := leafPage(9, 0, stored("/registry/secrets/c/d", sealed))
	for _, c := range []struct {
		name string
		b    bytesOf
		want []string
	}{
		{"whole", bytesOf{pages(0, value), 7 * pageSize, pageSize}, []string{key + " true"}},
		{"not from the page's beginning", bytesOf{pages(0, leafPage(6, 0, nil), value)[100:], 6*pageSize + 100, pageSize}, []string{key + " true"}},
		{"another page over its third page", bytesOf{pages(0, value[:2*pageSize], inner, value[3*pageSize:]), 7 * pageSize, pageSize},
			[]string{key + " false", "/registry/secrets/c/d true", "/registry/secrets/in/it true"}},
		{"its header is gone", bytesOf{rest, 9 * pageSize, pageSize}, []string{"/registry/secrets/in/it true"}},
		{"not longer than its page", bytesOf{pages(0, leafPage(7, 0, stored(key, long))), 7 * pageSize, pageSize}, []string{key + " false", "/registry/secrets/in/it true"}},
		{"another file's page", bytesOf{pages(0, value), 8 * pageSize, pageSize}, []string{key + " false", "/registry/secrets/in/it true"}},
		{"no database", bytesOf{pages(0, value[:2*pageSize], inner, value[3*pageSize:]), 7 * pageSize, 0}, []string{key + " true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			if _, err := scan(t.Context(), c.b, func(tr trace) { got = append(got, fmt.Sprint(string(tr.key), " ", len(tr.value) == tr.length)) }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// Whoever may write a ConfigMap chooses its bytes. Values in a value, which all reach to its end, would
// each be read to there; and none of them was ever stored.
func TestScanValuesInAValue(t *testing.T) {
	const size, pageSize = 1400 << 10, 4096
	fields := strings.Repeat("\x0a\x01x", 3) // as kms v2 stores them
	inner := func(left int) []byte {
		return []byte("\n\x02/a\x12" + string(protowire.AppendVarint(nil, uint64(left))) + "k8s:enc:kms:v2:x:" + fields)
	}
	var nested []byte
	for len(nested) < size {
		nested = append(nested, inner(size-len(nested))...)
	}
	configMap := stored("/registry/configmaps/a/b", "k8s\x00\n\x0c\n\x02v1"+string(nested))
	page := leafPage(7, len(configMap)/pageSize+1, configMap)
	for _, c := range []struct {
		name string
		b    bytesOf
		most int // values
	}{
		{"in free pages", bytesOf{page, 7 * pageSize, pageSize}, 1},
		{"in free pages, its first page overwritten", bytesOf{page[pageSize:], 8 * pageSize, pageSize}, size/pageSize + 1},
		{"in a WAL", bytesOf{data: put("/registry/configmaps/a/b", "k8s\x00\n\x0c\n\x02v1"+string(nested))}, 1},
		{"only heads", bytesOf{data: bytes.Repeat([]byte("k8s:enc:kms:v2:x:"+fields), 10000)}, 0},
		{"nothing but values in one another", bytesOf{data: nested}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			values, read := 0, 0
			if _, err := scan(t.Context(), c.b, func(tr trace) {
				values++
				read += len(tr.value)
			}); err != nil {
				t.Fatal(err)
			}
			if values > c.most || read > len(c.b.data) {
				t.Errorf("%d values, of which %d bytes are read of %d", values, read, len(c.b.data))
			}
		})
	}
}

func FuzzScan(f *testing.F) {
	f.Add(stored("/registry/secrets/default/s", "k8s:enc:secretbox:v1:k1:abc"))
	f.Add(put("/registry/secrets/default/s", "k8s\x00\n\x0c"))
	f.Add([]byte(`{"kind":"Secret","apiVersion":"v1"}`))
	f.Add([]byte("k8s:enc:"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		last := 0 // the end of the last value
		mustScan(t, data, func(tr trace) {
			at := cap(data) - cap(tr.value) // both end where the memory does
			if at < last || len(tr.value) == 0 || at+len(tr.value) > len(data) {
				t.Fatalf("a value of %d bytes at %d of %d, after one at %d", len(tr.value), at, len(data), last)
			}
			last = at + len(tr.value)
			if len(tr.key) == 0 || len(tr.value) > tr.length {
				t.Fatalf("key %q, %d bytes of %d", tr.key, len(tr.value), tr.length)
			}
		})
		// A value in a page of a database is found whatever is in the pages before.
		const pageSize = 512
		n := 0
		before := append(bytes.Clone(data), make([]byte, pageSize-len(data)%pageSize)...)
		all := append(before, leafPage(len(before)/pageSize, 0, stored("/registry/secrets/last/s", "k8s:enc:secretbox:v1:k1:abc"))...)
		if _, err := scan(t.Context(), bytesOf{data: all, pageSize: pageSize}, func(tr trace) {
			if string(tr.key) == "/registry/secrets/last/s" {
				n++
			}
		}); err != nil || n == 0 {
			t.Fatalf("the value behind was not found: %v", err)
		}
	})
}
