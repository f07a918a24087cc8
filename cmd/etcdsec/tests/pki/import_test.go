package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/google/go-cmp/cmp"
)

// foreignCA signs certificates like other tools, with their faults.
type foreignCA struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newForeignCA(t *testing.T, cn string) *foreignCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// As kubeadm: no path length, no cRLSign, keyEncipherment (client-go util/cert NewSelfSignedCACert).
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0), Subject: pkix.Name{CommonName: cn}, DNSNames: []string{cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
	}
	template.SerialNumber.SetInt64(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &foreignCA{t, cert, key}
}

func (ca *foreignCA) write(base string, withKey bool) {
	ca.t.Helper()
	writePEM(ca.t, base+".crt", 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
	if withKey {
		der, err := x509.MarshalECPrivateKey(ca.key)
		if err != nil {
			ca.t.Fatal(err)
		}
		writePEM(ca.t, base+".key", 0o600, &pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	}
}

// leaf writes an RSA-2048 key and a certificate for a year, followed by the CA's certificate if asked.
func (ca *foreignCA) leaf(base, cn, organization string, ekus []x509.ExtKeyUsage, names ...string) {
	ca.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		ca.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn},
		NotBefore: ca.cert.NotBefore, NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: ekus, BasicConstraintsValid: true,
	}
	if organization != "" {
		template.Subject.Organization = []string{organization}
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	writePEM(ca.t, base+".crt", 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	writePEM(ca.t, base+".key", 0o600, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

func writePEM(t *testing.T, path string, mode fs.FileMode, block *pem.Block) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), mode); err != nil {
		t.Fatal(err)
	}
}

var (
	clientEKU = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	bothEKUs  = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// The three tools' PKIs, three members each: adopted with their names, then renewed, revoked
// and verified as if they had been made here.
func TestImport(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		make     func(t *testing.T, dir string) // of three members: dir/m0, m1, m2
		spec     []string                       // what the spec written has
		weak     []string
		server   string // a member's server certificate
		sameSubj bool   // whether leaves are as planned before they are renewed
	}{
		"kubeadm": {makeKubeadm,
			[]string{"layout: kubeadm, hierarchy: shared", "enableGRPCGateway: true", "{name: m1, addresses: [10.0.0.11, m1]}", "{name: kube-apiserver-etcd-client, role: kubernetes}"},
			[]string{`peer port  trusts "etcd-ca", which lets in m0/healthcheck, m0/kubernetes, m0/peer, m0/server, m1/healthcheck`, "one CA for clients and peers", "no path length", "cannot sign revocation lists", "the CA's key is on the node", `has the organization ["system:masters"]`, "has a weak key", "is a client certificate too"},
			"etcd/server.crt", true},
		"k3s": {makeK3s,
			[]string{"layout: k3s, hierarchy: single", "runtime: systemd", "{name: m2, addresses: [10.0.0.12, m2]}", "{name: etcd-client, role: kubernetes}"},
			[]string{"no path length", "the CA's key is on the node"},
			"server-client.crt", false},
		"kops": {makeKOps,
			[]string{"layout: kops, hierarchy: single", "{name: m0, addresses: [10.0.0.10, m0]}"},
			[]string{"no path length"},
			"clients/server.crt", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tc.make(t, dir)
			before := contents(t, dir)
			store := filepath.Join(t.TempDir(), "store")
			arguments := []string{"pki", "import", store, "m0=" + dir + "/m0", "m1=" + dir + "/m1", "m2=" + dir + "/m2", "--name", "found", "--etcd-version", "3.6.16"}
			out := clitest.Expect(t, 0, append(arguments, "--dry-run")...)
			for _, want := range append(tc.spec, tc.weak...) {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
			if _, err := os.Stat(store); err == nil {
				t.Error("a dry run wrote")
			}
			clitest.Expect(t, 0, arguments...)
			clitest.Expect(t, 0, arguments...) // again: nothing more to do
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Errorf("the folders changed:\n%s", diff)
			}
			adopted, err := os.ReadFile(filepath.Join(store, "nodes/m1/pki", tc.server))
			if err != nil || string(adopted) != before["m1/"+tc.server] {
				t.Errorf("the server certificate is not as it was: %v", err)
			}
			out = clitest.Expect(t, 3, "pki", "verify", store)
			if strings.Contains(out, "ledger") || tc.sameSubj && strings.Contains(out, tc.server+"\n") {
				t.Errorf("verify:\n%s", out)
			}
			clitest.Expect(t, 0, "pki", "renew", store, "--all", "--new-key")
			out = clitest.Expect(t, 0, "pki", "verify", store) // that the roots' keys are here is a note for a day
			if strings.Contains(out, "nodes/") || strings.Contains(out, "clients/") {
				t.Errorf("verify after the renewal:\n%s", out)
			}
			renewed, err := os.ReadFile(filepath.Join(store, "nodes/m1/pki", tc.server))
			if err != nil || string(renewed) == string(adopted) {
				t.Errorf("not renewed: %v", err)
			}
			for _, file := range sortedKeysOf(before) { // native names, each of them
				if strings.HasPrefix(file, "m1/") && !strings.Contains(file, "ca.key") {
					if _, err := os.Stat(filepath.Join(store, "nodes/m1/pki", strings.TrimPrefix(file, "m1/"))); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func makeKubeadm(t *testing.T, dir string) {
	t.Helper()
	ca := newForeignCA(t, "etcd-ca")
	for i, m := range []string{"m0", "m1", "m2"} {
		at, names := filepath.Join(dir, m), []string{m, "localhost", "10.0.0.1" + string(rune('0'+i)), "127.0.0.1", "::1"}
		ca.write(filepath.Join(at, "etcd/ca"), true)
		ca.leaf(filepath.Join(at, "etcd/server"), m, "", bothEKUs, names...)
		ca.leaf(filepath.Join(at, "etcd/peer"), m, "", bothEKUs, names...)
		ca.leaf(filepath.Join(at, "etcd/healthcheck-client"), "kube-etcd-healthcheck-client", "system:masters", clientEKU)
		ca.leaf(filepath.Join(at, "apiserver-etcd-client"), "kube-apiserver-etcd-client", "system:masters", clientEKU)
	}
}

func makeK3s(t *testing.T, dir string) {
	t.Helper()
	server, peer := newForeignCA(t, "etcd-server-ca@1771416044"), newForeignCA(t, "etcd-peer-ca@1771416044")
	for i, m := range []string{"m0", "m1", "m2"} {
		at, ip := filepath.Join(dir, m), "10.0.0.1"+string(rune('0'+i))
		server.write(filepath.Join(at, "server-ca"), true)
		peer.write(filepath.Join(at, "peer-ca"), true)
		server.leaf(filepath.Join(at, "server-client"), "etcd-server", "", bothEKUs, "kine.sock", "localhost", m, ip, "127.0.0.1", "::1", "10.43.0.1")
		peer.leaf(filepath.Join(at, "peer-server-client"), "etcd-peer", "", bothEKUs, "localhost", m, ip, "127.0.0.1", "::1")
		server.leaf(filepath.Join(at, "client"), "etcd-client", "", clientEKU)
	}
}

func makeKOps(t *testing.T, dir string) {
	t.Helper()
	clients, peers := newForeignCA(t, "etcd-clients-ca-main"), newForeignCA(t, "etcd-peers-ca-main")
	for i, m := range []string{"m0", "m1", "m2"} {
		at, names := filepath.Join(dir, m), []string{m, "localhost", "10.0.0.1" + string(rune('0'+i)), "127.0.0.1", "::1"}
		clients.write(filepath.Join(at, "clients/ca"), i == 0)
		peers.write(filepath.Join(at, "peers/ca"), i == 0)
		clients.leaf(filepath.Join(at, "clients/server"), m, "", bothEKUs, names...)
		peers.leaf(filepath.Join(at, "peers/me"), m, "", bothEKUs, names...)
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		relative, relErr := filepath.Rel(dir, path)
		files[relative] = string(data)
		if err == nil {
			err = relErr
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

func sortedKeysOf(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
