package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func requestPEM(t testing.TB, template x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// Each hostile request is refused with a clear error, and nothing is written.
func TestHostileRequests(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 2, "")
	issue(t, dir, c, testNow())
	taken, err := ReadKey(filepath.Join(dir, "nodes/etcd-1/pki/peer.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := asn1.Marshal(struct{ IsCA bool }{true})
	if err != nil {
		t.Fatal(err)
	}
	good := requestPEM(t, x509.CertificateRequest{}, key)
	tampered, _ := pem.Decode(good)
	tampered.Bytes[len(tampered.Bytes)-1] ^= 1
	extension := func(id asn1.ObjectIdentifier, value []byte) x509.CertificateRequest {
		return x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: id, Value: value}}}
	}
	cases := map[string]struct {
		request []byte
		want    string
	}{
		"system:masters":        {requestPEM(t, x509.CertificateRequest{Subject: pkix.Name{CommonName: "etcd-0", Organization: []string{"system:masters"}}}, key), `it asks for the subject "CN=etcd-0,O=system:masters"`},
		"another subject":       {requestPEM(t, x509.CertificateRequest{Subject: pkix.Name{CommonName: "root"}}, key), `it asks for the subject "CN=root"`},
		"another member's name": {requestPEM(t, x509.CertificateRequest{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 12)}}, key), "it asks for the name 10.0.0.12"},
		"a wildcard":            {requestPEM(t, x509.CertificateRequest{DNSNames: []string{"*.example.internal"}}, key), "it asks for the name *.example.internal"},
		"a URI":                 {requestPEM(t, x509.CertificateRequest{URIs: []*url.URL{{Scheme: "spiffe", Host: "x"}}}, key), "a URI or a mail address"},
		"a CA":                  {requestPEM(t, extension(asn1.ObjectIdentifier{2, 5, 29, 19}, ca), key), "it asks to be a CA"},
		"broken constraints":    {requestPEM(t, extension(asn1.ObjectIdentifier{2, 5, 29, 19}, []byte("x")), key), "it asks to be a CA"},
		"an unknown extension":  {requestPEM(t, extension(asn1.ObjectIdentifier{1, 2, 3}, []byte("x")), key), "it asks for the extension 1.2.3"},
		"1024 bits":             {requestPEM(t, x509.CertificateRequest{}, weak), "1024 bits, want at least 2048"},
		"P-224":                 {requestPEM(t, x509.CertificateRequest{}, p224), "on curve P-224"},
		"another's key":         {requestPEM(t, x509.CertificateRequest{}, taken), "etcd-1/peer already has its key"},
		"bad signature":         {pem.EncodeToMemory(tampered), "does not prove the key"},
		"empty":                 {[]byte(" \n"), "the file is empty"},
		"DER":                   {tampered.Bytes, "it is DER, want PEM: openssl req"},
		"a certificate":         {encodeCertificates(leavesOf(t, dir, c)["etcd-0/peer"]), "want a certificate request"},
		"two":                   {bytes.Repeat(good, 2), "it has 2 PEM blocks"},
		"truncated":             {good[:len(good)-30], "cut short"},
		"UTF-8 mark in front":   {append([]byte("\xef\xbb\xbf"), good...), "a byte order mark"},
	}
	before := tree(t, dir)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			csr, err := ParseRequest(tc.request)
			if err == nil {
				_, err = renewErr(t, dir, c, testNow(), Renewal{Requests: map[LeafID]*x509.CertificateRequest{{Member: "etcd-0", Role: RolePeer}: csr}})
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
		})
	}
}

// Both backends sign a request that is sound, with Windows line ends too, for its key alone.
func TestSignRequest(t *testing.T) {
	t.Parallel()
	for _, backend := range []Backend{BackendCfssl, BackendStd} {
		dir := filepath.Join(t.TempDir(), "store")
		c := specOf(t, 1, "")
		key, _, err := NewKey(c.PKI.KeyAlgorithm)
		if err != nil {
			t.Fatal(err)
		}
		leaf := NewPlan(c).Bundles[0].Leaves[1]
		csrPEM, err := NewRequest(leaf, key)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := ParseRequest(bytes.ReplaceAll(csrPEM, []byte("\n"), []byte("\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		store, err := OpenStore(dir, c)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		work, err := store.Survey(t.Context(), NewPlan(c), testNow(), Renewal{Requests: map[LeafID]*x509.CertificateRequest{leaf.ID: csr}})
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Issue(t.Context(), work, c.YAML, IssueConfig{Now: testNow(), Backend: backend}); err != nil {
			t.Fatal(err)
		}
		chain := readChain(t, filepath.Join(dir, "nodes/etcd-0/pki/peer.crt"))
		if !samePublicKey(chain[0].PublicKey, key.Public()) {
			t.Errorf("%s: another key", backend)
		}
		if files := tree(t, filepath.Join(dir, "nodes/etcd-0/.pki.1")); len(files) != 3 {
			t.Errorf("%s: %d files, want peer.crt and two roots", backend, len(files))
		}
	}
}

func TestOwnAddresses(t *testing.T) {
	addr := netip.MustParseAddr
	names := Names{IPs: []netip.Addr{addr("10.0.0.11"), addr("fd00::11"), addr("127.0.0.1")}, DNS: []string{"etcd-0"}}
	cases := map[string]struct {
		names        Names
		own, sources []netip.Addr
		want         string
	}{
		"this node":          {names, []netip.Addr{addr("127.0.0.1"), addr("10.0.0.11"), addr("172.17.0.1")}, []netip.Addr{addr("10.0.0.11")}, ""},
		"another node":       {names, []netip.Addr{addr("127.0.0.1"), addr("10.0.0.12")}, nil, "do they belong to another node?"},
		"a second interface": {names, []netip.Addr{addr("10.0.0.11"), addr("10.1.0.11")}, []netip.Addr{addr("10.1.0.11")}, "from 10.1.0.11, which its certificates do not name"},
		"names alone":        {Names{DNS: []string{"etcd-0"}}, []netip.Addr{addr("10.0.0.12")}, []netip.Addr{addr("10.0.0.12")}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := checkOwnAddresses(tc.names, tc.own, tc.sources)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	key, _, err := NewKey("ecdsa-p256")
	if err != nil {
		f.Fatal(err)
	}
	c := specOf(f, 1, "")
	leaf := NewPlan(c).Bundles[0].Leaves[0]
	seed, err := NewRequest(leaf, key)
	if err != nil || len(seed) == 0 {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:40])
	f.Add([]byte("\x30\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		csr, err := ParseRequest(data)
		if err != nil {
			return
		}
		if err := csr.CheckSignature(); err != nil {
			t.Fatal("accepted without a proof")
		}
		_ = CheckRequest(leaf, csr) // must not panic
	})
}
