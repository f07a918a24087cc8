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

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
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

// An issuing CA that differs from the plan is what status, verify and a renewal all name, with the
// one command that mends it.
func TestDeviatingIssuingCA(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change  func(*Authority)
		problem string
	}{
		"more uses":    {func(a *Authority) { a.EKUs = bothAuth }, `has the extended key usages ["serverAuth" "clientAuth"], want ["serverAuth"]`},
		"no limits":    {func(a *Authority) { a.EKUs = nil }, `has the extended key usages [], want ["serverAuth"]`},
		"a path below": {func(a *Authority) { a.pathLen = 1 }, "has path length 1, want 0"},
	}
	original, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "")
	issue(t, original, c, testNow())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
				t.Fatal(err)
			}
			restoreModes(t, original, dir)
			replaceWith(t, dir, c, ServerIssuing, tc.change)
			got := statesOf(t, dir, c, testNow())
			if want := "wrong-names: " + tc.problem; len(got) != 1 || !strings.HasPrefix(got[ServerIssuing], want) || !strings.HasSuffix(got[ServerIssuing], "etcdsec pki recover "+dir) {
				t.Errorf("status: %q, want %q", got, want)
			}
			found := false
			for _, f := range verify(t, dir, c, testNow()) {
				found = found || f.Path == "authorities/server-issuing/ca.crt" && strings.HasPrefix(tc.problem, f.Problem) && strings.Contains(f.Fix.String(), "etcdsec pki recover")
			}
			if !found {
				t.Error("verify does not say so")
			}
			for verb, renewal := range map[string]Renewal{"renew": {Due: true}, "bootstrap": {}} {
				work := renew(t, dir, c, testNow(), renewal)
				at := slices.IndexFunc(work.Steps, func(s Step) bool { return s.Name == ServerIssuing })
				if s := work.Steps[at]; s.Action != ActionDue || !strings.HasPrefix(s.Detail, tc.problem) || s.Remedy == nil || s.Remedy.Command != "etcdsec pki recover "+dir {
					t.Errorf("%s: %+v", verb, s)
				}
			}
			renew(t, dir, c, testNow(), Renewal{All: true, Authorities: true})
			if left := statesOf(t, dir, c, testNow()); len(left) > 0 {
				t.Errorf("after recover: %q", left)
			}
			checkSound(t, dir, c, testNow())
		})
	}
}

// replaceWith certifies an authority anew for the key that it has, as a changed plan would have it.
func replaceWith(t *testing.T, dir string, c *cluster.Cluster, name string, change func(*Authority)) {
	t.Helper()
	store, plan := &Store{Dir: dir}, NewPlan(c)
	cas, err := store.loadAuthorities(plan)
	if err != nil {
		t.Fatal(err)
	}
	self := *cas[name]
	change(&self.Authority)
	signer := *cas[self.Issuer]
	cert, err := certifyCA(c.Name, &self, &signer, testNow())
	if err != nil {
		t.Fatal(err)
	}
	files, err := store.filesAt(self.Path())
	if err == nil {
		err = appendLedger(dir, []Entry{newEntry(name, RoleCA, reasonNew, plan.SpecHash, cert, testNow())})
	}
	if err == nil {
		err = store.swap(self.Path(), replaceFiles(files, durable.File{Name: caCertName, Mode: 0o644, Data: encodeCertificates(cert)}), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}
