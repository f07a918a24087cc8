package pki_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

const authKey = "0123456789abcdef0123456789abcdef"

const remoteSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: site}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.1]}]
  pki: {hierarchy: shared, leafLifetime: 720h}
`

// A site's CA is a real `cfssl serve`; its policy decides, and what it does wrong is refused.
func TestSignByARealCfsslServer(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, data string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	writeSiteCA(t, dir)
	spec, key := write("cluster.yaml", 0o600, remoteSpec), write("auth.hex", 0o600, authKey+"\n")
	usages := map[string]string{"server": `"digital signature","server auth"`, "client": `"digital signature","client auth"`, "peer": `"digital signature","server auth","client auth"`}
	good := serveCfssl(t, dir, "good", usages, "720h")
	longer := serveCfssl(t, dir, "longer", usages, "87600h")
	usages["server"] = usages["client"]
	wrong := serveCfssl(t, dir, "wrong", usages, "720h")

	store, requests := filepath.Join(dir, "store"), filepath.Join(dir, "requests")
	clitest.Expect(t, 0, "pki", "import", "authority", "-f", spec, store, "client-root="+filepath.Join(dir, "ca.pem"))
	clitest.Expect(t, 0, "pki", "csr", "-f", spec, "etcd-0", requests)
	sign := func(want int, url, keyPath string) string {
		t.Helper()
		return clitest.Expect(t, want, "pki", "sign", store, "etcd-0", requests, "--remote", url, "--remote-key", keyPath)
	}
	for _, tc := range []struct{ name, url, keyPath, want string }{
		{"a lifetime past the CA's", longer, key, "beyond its issuer's"},
		{"client auth for a server", wrong, key, `has the extended key usages ["clientAuth"], want ["serverAuth"]`},
		{"another auth key", good, write("other.hex", 0o600, strings.Repeat("ab", 16)), `it refused: 400 Bad Request: "invalid token"`},
		{"a key that is none", good, write("none.hex", 0o600, "file:/etc/passwd"), "the auth key is not"},
		{"a readable key", good, write("readable.hex", 0o644, authKey), "chmod 600"},
		{"nobody there", "http://127.0.0.1:1", key, "connection refused"},
	} {
		status := 1
		if strings.Contains(tc.name, "key") && tc.name != "another auth key" {
			status = 2
		}
		if out := sign(status, tc.url, tc.keyPath); !strings.Contains(out, tc.want) || strings.Contains(out, authKey) {
			t.Errorf("%s: got %s, want %q", tc.name, out, tc.want)
		}
		if _, err := os.Stat(filepath.Join(store, "nodes")); err == nil {
			t.Fatalf("%s: something was written", tc.name)
		}
	}
	sign(0, good, key)
	clitest.Expect(t, 0, "pki", "install", "-f", spec, "etcd-0", filepath.Join(store, "nodes", "etcd-0", "pki"), filepath.Join(dir, "target"), "--keys", requests, "--any-node")
	if out := clitest.Expect(t, 3, "pki", "verify", store); strings.Contains(out, "etcd-0/pki") {
		t.Errorf("verify finds fault with what the server signed:\n%s", out)
	}
}

// A server that answers with nonsense, with too much or not at all is an error in bounded time and space.
func TestSignByAHostileServer(t *testing.T) {
	dir := t.TempDir()
	writeSiteCA(t, dir)
	spec, key := filepath.Join(dir, "cluster.yaml"), filepath.Join(dir, "auth.hex")
	for path, data := range map[string]string{spec: remoteSpec, key: authKey} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, requests := filepath.Join(dir, "store"), filepath.Join(dir, "requests")
	clitest.Expect(t, 0, "pki", "import", "authority", "-f", spec, store, "client-root="+filepath.Join(dir, "ca.pem"))
	clitest.Expect(t, 0, "pki", "csr", "-f", spec, "etcd-0", requests)
	caPEM, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"not JSON":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "not cfssl's"},
		"too much":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 2<<20)) }, "more than 1048576 bytes"},
		"no certificate": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"success":true,"result":{}}`) }, "returned no certificate"},
		"the CA itself": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"success":true,"result":{"certificate":%q}}`, caPEM)
		}, "has the key usage of a CA"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, "it answered 302"},
		"a disconnect": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			out := clitest.Expect(t, 1, "pki", "sign", store, "etcd-0", requests, "--remote", server.URL, "--remote-key", key)
			if !strings.Contains(out, tc.want) {
				t.Errorf("got %s, want %q", out, tc.want)
			}
			if _, err := os.Stat(filepath.Join(store, "nodes")); err == nil {
				t.Error("something was written")
			}
		})
	}
}

func writeSiteCA(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "site CA", Organization: []string{"Example"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"ca.pem": {Type: "CERTIFICATE", Bytes: der}, "ca-key.pem": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serveCfssl starts a real cfssl server with three profiles and returns its URL.
func serveCfssl(t *testing.T, dir, name string, usages map[string]string, expiry string) string {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "cfssl", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var profiles []string
	for _, profile := range []string{"server", "client", "peer"} {
		profiles = append(profiles, fmt.Sprintf(`%q: {"auth_key": "k", "usages": [%s], "expiry": %q}`, profile, usages[profile], expiry))
	}
	config := fmt.Sprintf(`{"signing": {"default": {"auth_key": "k", "usages": ["server auth"], "expiry": "1h"}, "profiles": {%s}}, "auth_keys": {"k": {"type": "standard", "key": %q}}}`,
		strings.Join(profiles, ","), authKey)
	configPath := filepath.Join(dir, name+".json")
	if err := os.WriteFile(configPath, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	port := etcdtest.FreePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "serve", "-address=127.0.0.1", fmt.Sprintf("-port=%d", port), "-loglevel=4",
		"-ca="+filepath.Join(dir, "ca.pem"), "-ca-key="+filepath.Join(dir, "ca-key.pem"), "-config="+configPath)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() }) // it was killed
	for deadline := time.Now().Add(2 * time.Minute); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatalf("cfssl does not serve: %v", err)
		}
	}
}
