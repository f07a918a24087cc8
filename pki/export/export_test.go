package export

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/manifests"
	"github.com/etcdsec/etcdsec/pki"
)

func testNow() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

const twoMembers = `
      - {name: etcd-0, addresses: [10.0.0.11, etcd-0.example.internal]}
      - {name: etcd-1, addresses: [10.0.0.12]}
`

// bootstrap makes a store as `etcdsec bootstrap` does and returns its folder.
func bootstrap(t testing.TB, members, more string, now time.Time) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	spec := "apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: test}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    runtime: systemd\n    members:" + members + more
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	store, err := pki.OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	work, err := store.Survey(t.Context(), pki.NewPlan(c), now, pki.Renewal{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Issue(t.Context(), work, c.YAML, pki.IssueConfig{Now: now}); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Etcd.Members {
		files, err := manifests.Member(c, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := store.WriteFile(path.Dir(f.Path), durable.File{Name: path.Base(f.Path), Mode: 0o644, Data: f.Data}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	store, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// read reads the one leaf of that name.
func read(t testing.TB, store *Store, name string) Leaf {
	t.Helper()
	l, err := readErr(t, store, name, testNow())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func readErr(t testing.TB, store *Store, name string, now time.Time) (Leaf, error) {
	t.Helper()
	refs, err := store.Find(name)
	if err != nil || len(refs) != 1 {
		t.Fatalf("%s: %d leaves, %v", name, len(refs), err)
	}
	return store.Read(refs[0], now)
}

// tree is everything below a folder: names, modes, times and contents.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v %v", p, info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", sha256.Sum256(data))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil || b.Len() == 0 {
		t.Fatalf("walking %s: %d bytes, %v", dir, b.Len(), err)
	}
	return b.String()
}

// rewrite replaces a file of a store through its bundle's symlink.
func rewrite(t *testing.T, data []byte, mode fs.FileMode, parts ...string) {
	t.Helper()
	file := filepath.Join(parts...)
	if err := os.WriteFile(file, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

func contents(t testing.TB, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers+"      - {name: clients, addresses: [10.0.0.13]}\n", "  clients: [{name: peer, role: backup}]\n", testNow())
	store := open(t, dir)
	cases := []struct {
		name, find string
		want       string // the leaves' paths
		fault      string
	}{
		{"a leaf", "etcd-0/server", "nodes/etcd-0/pki/server", ""},
		{"a member", "etcd-1", "nodes/etcd-1/pki/server nodes/etcd-1/pki/peer", ""},
		{"a client", "auditor", "clients/auditor/client", ""},
		{"a client's leaf", "clients/auditor", "clients/auditor/client", ""},
		{"a member that is called as the folder of clients", "clients/server", "nodes/clients/pki/server", ""},
		{"a client that is called as a leaf of that member", "clients/peer", "clients/peer/client", ""},
		{"that leaf", "nodes/clients/peer", "nodes/clients/pki/peer", ""},
		{"a client of an ambiguous leaf", "peer", "clients/peer/client", ""},
		{"nobody", "etcd-7", "", `no leaf, member or client "etcd-7" in cluster test; members and clients are etcd-0, etcd-1, clients, kube-apiserver`},
		{"nothing", "", "", "no leaf, member or client"},
		{"an authority", "client-root", "", "no leaf, member or client"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			refs, err := store.Find(tc.find)
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) {
					t.Fatalf("error %v, want %q", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, r := range refs {
				paths = append(paths, r.Path())
			}
			if got := strings.Join(paths, " "); got != tc.want {
				t.Errorf("found %s, want %s", got, tc.want)
			}
		})
	}
}

// What does not belong together is not exported.
func TestReadVerifies(t *testing.T) {
	t.Parallel()
	const leaf = "etcd-0/server"
	cases := []struct {
		name  string
		spoil func(t *testing.T, pki string)
		now   time.Time
		fault string
	}{
		{"as issued", func(*testing.T, string) {}, testNow(), ""},
		{"expired", func(*testing.T, string) {}, testNow().AddDate(0, 6, 0), "has expired or is not yet valid"},
		{"another's key", func(t *testing.T, pki string) {
			rewrite(t, contents(t, pki, "peer.key"), 0o600, pki, "server.key")
		}, testNow(), "server.crt: the private key does not match the certificate"},
		{"a key that others can read", func(t *testing.T, pki string) {
			rewrite(t, contents(t, pki, "server.key"), 0o640, pki, "server.key")
		}, testNow(), "server.key has mode 0640, so others may have read it"},
		{"a damaged key", func(t *testing.T, pki string) {
			rewrite(t, []byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), 0o600, pki, "server.key")
		}, testNow(), "server.key: it is damaged"},
		{"the other root", func(t *testing.T, pki string) {
			rewrite(t, contents(t, pki, "peer-ca.crt"), 0o644, pki, "ca.crt")
		}, testNow(), "unknown authority"},
		{"without the issuing CA", func(t *testing.T, pki string) {
			chain := contents(t, pki, "server.crt")
			rewrite(t, chain[:bytes.LastIndex(chain, []byte("-----BEGIN"))], 0o644, pki, "server.crt")
		}, testNow(), "unknown authority"},
		{"a certificate of another purpose", func(t *testing.T, pki string) {
			rewrite(t, contents(t, pki, "../../../clients/auditor/client.crt"), 0o644, pki, "server.crt")
			rewrite(t, contents(t, pki, "../../../clients/auditor/client.key"), 0o600, pki, "server.key")
		}, testNow(), "incompatible key usage"},
		{"no root", func(t *testing.T, pki string) {
			if err := os.Remove(filepath.Join(pki, "ca.crt")); err != nil {
				t.Fatal(err)
			}
		}, testNow(), "ca.crt: no such file"},
		{"no certificate", func(t *testing.T, pki string) {
			if err := os.Remove(filepath.Join(pki, "server.crt")); err != nil {
				t.Fatal(err)
			}
		}, testNow(), "etcd-0/server was not issued yet"},
		{"a certificate of a gigabyte", func(t *testing.T, pki string) {
			if err := os.Truncate(filepath.Join(pki, "server.crt"), 1<<30); err != nil { // sparse
				t.Fatal(err)
			}
		}, testNow(), "larger than"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := bootstrap(t, twoMembers, "", testNow())
			tc.spoil(t, filepath.Join(dir, "nodes/etcd-0/pki"))
			store := open(t, dir)
			l, err := readErr(t, store, leaf, tc.now)
			if _, nodeErr := store.Node("etcd-0", tc.now); (err == nil) != (nodeErr == nil) {
				t.Errorf("as a leaf %v, in its node %v", err, nodeErr)
			}
			if tc.fault == "" {
				if err != nil || len(l.Chain) != 2 || len(l.Trust) != 1 || l.Key == nil {
					t.Fatalf("%d certificates, %d roots, key %t, %v", len(l.Chain), len(l.Trust), l.Key != nil, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Fatalf("error %v, want %q", err, tc.fault)
			}
			if strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

func TestReadWithoutKey(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers, "", testNow())
	if err := os.Remove(filepath.Join(dir, "nodes/etcd-0/pki/server.key")); err != nil {
		t.Fatal(err)
	}
	l := read(t, open(t, dir), "etcd-0/server")
	if l.Key != nil || l.Cert().Subject.CommonName != "etcd-0" {
		t.Errorf("key %t, certificate of %s", l.Key != nil, l.Cert().Subject)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers, "", testNow())
	first := open(t, dir)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "another etcdsec is working on it") {
		t.Errorf("opened twice: %v", err)
	}
	first.Close()
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := Open(missing); err == nil {
		t.Error("a folder that is not there was opened")
	}
	if _, err := os.Lstat(missing); err == nil {
		t.Errorf("%s was made", missing)
	}
}

// verifies checks a chain with crypto/x509 alone.
func verifies(t *testing.T, chain, roots []*x509.Certificate, eku x509.ExtKeyUsage) {
	t.Helper()
	trusted, issuers := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range roots {
		trusted.AddCert(c)
	}
	for _, c := range chain[1:] {
		issuers.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: trusted, Intermediates: issuers, CurrentTime: testNow(), KeyUsages: []x509.ExtKeyUsage{eku}})
	if err != nil {
		t.Error(err)
	}
}

// What was revoked must not come into use anywhere else, in any form.
func TestRevokedIsNotExported(t *testing.T) {
	t.Parallel()
	dir := bootstrap(t, twoMembers, "", testNow())
	c, err := cluster.Load(filepath.Join(dir, pki.SpecName))
	if err != nil {
		t.Fatal(err)
	}
	held, err := pki.OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	for which, reason := range map[string]string{"auditor": pki.ReasonKeyCompromise, "etcd-0/peer": "superseded"} {
		_, revoked := held.ApplyRevocation(t.Context(), c, pki.Revocation{Which: which, Reason: reason, Current: true}, testNow(), false)
		err = errors.Join(err, revoked)
	}
	held.Close()
	if err != nil {
		t.Fatal(err)
	}
	store := open(t, dir)
	for name, export := range map[string]func() (Items, error){
		"the Secret of a client": func() (Items, error) {
			return store.Secrets(SecretsConfig{Shared: Shared{Style: StyleTLS, Namespace: "etcd"}, Names: []string{"auditor"}}, testNow())
		},
		"all Secrets": func() (Items, error) {
			return store.Secrets(SecretsConfig{Shared: Shared{Style: StyleTLS, Namespace: "etcd"}}, testNow())
		},
		"PKCS #12": func() (Items, error) { return store.PKCS12File("auditor", "auditor.p12", "secret", testNow()) },
		"a node":   func() (Items, error) { return store.Tars([]string{"etcd-0"}, nil, testNow()) },
	} {
		items, err := export()
		if _, revoked := errors.AsType[*RevokedError](err); !revoked || !strings.Contains(err.Error(), "etcdsec pki renew "+dir) {
			t.Errorf("%s: %v, %v", name, items, err)
		}
	}
	if _, err := store.PKCS12File("healthcheck", "healthcheck.p12", "secret", testNow()); err != nil {
		t.Errorf("another leaf: %v", err)
	}
}
