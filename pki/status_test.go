package pki

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever lies in a folder: each file is a row of its own, and none keeps the others from
// being read, or the walk from ending.
func TestStatusOfAnything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	issue(t, store, specOf(t, 1, ""), testNow())
	good, err := os.ReadFile(filepath.Join(store, "clients/auditor/client.crt"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(store, "clients/auditor/client.key"))
	if err != nil {
		t.Fatal(err)
	}
	certs, err := ParseCertificates(good)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "folder")
	deep := filepath.Join(folder, strings.Repeat("d/", maxDepth+1))
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good.crt", good)
	write("crlf.crt", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))
	write("bom.crt", append([]byte("\xef\xbb\xbf"), good...))
	write("der.crt", certs[0].Raw)
	write("between.crt", bytes.Replace(good, []byte("-----END CERTIFICATE-----\n"), []byte("-----END CERTIFICATE-----\njunk\n"), 1))
	write("key.pem", key)
	write("both.pem", append(bytes.Clone(good), key...))
	write("two-keys.crt", append(bytes.Clone(key), key...))
	write("notes.txt", []byte("no certificate"))
	write("key-first.pem", append(bytes.Clone(key), good...))
	write("with-text.key", slices.Concat([]byte("0 s:CN = auditor\nCertificate:\n"), key, []byte("Bag Attributes\n"), good))
	write(".hidden", good)
	write("indented.crt", bytes.ReplaceAll(good, []byte("-----B"), []byte(" -----B")))
	write("cut-first.crt", slices.Concat(good[:200], []byte("\n"), good))
	write("only-a-key.crt", key)
	write("public.pem", []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))
	write("trusted.pem", bytes.ReplaceAll(good, []byte(" CERTIFICATE"), []byte(" TRUSTED CERTIFICATE")))
	write("store.p12", []byte("0\x82\x01"))
	write(".old.1", good)
	if err := syscall.Mkfifo(filepath.Join(folder, "fifo.crt"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("huge.crt", nil)
	if err := os.Truncate(filepath.Join(folder, "huge.crt"), 1<<40); err != nil { // sparse
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(folder, "around")); err != nil {
		t.Fatal(err)
	}
	rows, err := FileStatus(t.Context(), folder, testNow().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"good": "ok ", "crlf": "ok ", "bom": "unreadable a byte order mark", "der": "unreadable it is DER, want PEM: openssl x509",
		"between": "ok ", "both": "ok ", "key-first": "ok ", "with-text": "ok ", "": "ok ", ".old": "ok ", "two-keys": "unreadable a private key",
		"only-a-key": "unreadable a private key", "indented": "unreadable PEM block 1 is cut short or damaged",
		"cut-first": "unreadable PEM block 1 is cut short or damaged", "trusted": "unreadable PEM block 1 is of type \"TRUSTED CERTIFICATE\"", "store": "unreadable it is DER",
		"fifo": "unreadable", "huge": "unreadable", "d/d/d/d/d/d/d/d/d/d/d/d/d": "unreadable more than 12 folders deep",
	}
	got := map[string]string{}
	for _, row := range rows {
		got[row.Name] = string(row.State) + " " + row.Detail
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d: %q", len(got), len(want), got)
	}
	for name, state := range want {
		if !strings.HasPrefix(got[name], state) {
			t.Errorf("%s: got %q, want %q", name, got[name], state)
		}
	}
}
