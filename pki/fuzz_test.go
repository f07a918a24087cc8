package pki

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// seeds are real files of a store, whole and damaged.
func seeds(f *testing.F, names ...string) {
	f.Helper()
	dir := filepath.Join(f.TempDir(), "store")
	issue(f, dir, specOf(f, 1, ""), testNow())
	added := 0
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(data) == 0 {
			f.Fatalf("%s: %d bytes, %v", name, len(data), err)
		}
		for _, seed := range [][]byte{data, data[:len(data)/2], append([]byte("junk\n"), data...), append(data, data...), bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))} {
			f.Add(seed)
			added++
		}
	}
	if added == 0 {
		f.Fatal("no seeds")
	}
}

func FuzzParseCertificates(f *testing.F) {
	seeds(f, "authorities/client-root/ca.crt", "nodes/etcd-0/pki/server.crt", "nodes/etcd-0/pki/server.key")
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := ParseCertificates(data)
		if err != nil {
			return
		}
		again, err := ParseCertificates(encodeCertificates(certs...))
		if err != nil || len(again) != len(certs) {
			t.Fatalf("%d certificates became %d: %v", len(certs), len(again), err)
		}
		for i := range certs {
			if !certs[i].Equal(again[i]) {
				t.Fatalf("certificate %d changed", i)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	seeds(f, "nodes/etcd-0/pki/server.key", "nodes/etcd-0/pki/server.crt")
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParseKey(data)
		if err != nil {
			return
		}
		encoded, err := encodeKey(key)
		if err != nil {
			t.Skip("a key that PKCS #8 has no form for")
		}
		again, err := ParseKey(encoded)
		if err != nil || !samePublicKey(key.Public(), again.Public()) {
			t.Fatalf("another key: %v", err)
		}
	})
}

func FuzzLedger(f *testing.F) {
	// Short and always the same: the fuzzer minimises what it finds interesting byte by byte.
	lines, err := new(ledger).chain([]Entry{{Event: "issue", Name: "a", Serial: "01"}, {Event: "issue", Name: "b", SANs: []string{"x"}}})
	if err != nil || len(lines) == 0 {
		f.Fatalf("no seed: %v", err)
	}
	f.Add(lines)
	f.Add(lines[:len(lines)-1])
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLedger(data)
		if err != nil {
			return
		}
		if l.size > int64(len(data)) || bytes.Count(data[:l.size], []byte("\n")) != len(l.entries) {
			t.Fatalf("%d entries in %d bytes of %d", len(l.entries), l.size, len(data))
		}
		entries := len(l.entries)
		lines, err := l.chain([]Entry{{Event: EventIssue, Name: "next"}})
		if err != nil {
			t.Fatal(err)
		}
		if longer, err := parseLedger(append(data[:l.size:l.size], lines...)); err != nil || len(longer.entries) != entries+1 {
			t.Fatalf("a ledger that was accepted cannot go on: %v", err)
		}
	})
}
