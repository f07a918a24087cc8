package execsigner_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/execsigner"
	"github.com/etcdsec/etcdsec/pki/internal/cfsslca"
	"github.com/etcdsec/etcdsec/pki/internal/leafcert"
)

// buildExample compiles the example plugin, which the package comment's readers start from.
var buildExample = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fileplugin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "fileplugin")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/fileplugin")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// removeExample is called when all tests are over.
func removeExample() {
	if path, err := buildExample(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

func generate(t testing.TB, algorithm string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case "ecdsa-p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa-p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ecdsa-p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "rsa-2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-3072":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no algorithm %q", algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyDir is a folder of the test in which the example plugin finds a key.
func keyDir(t testing.TB, name string, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, name+".pem"), keyPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// withExample is a signer whose key the example plugin holds.
func withExample(t testing.TB, key crypto.Signer) *execsigner.Signer {
	t.Helper()
	plugin, err := buildExample()
	if err != nil {
		t.Fatalf("building the example plugin: %v", err)
	}
	signer, err := execsigner.New(t.Context(), execsigner.Config{
		Supervisor: supervisor(),
		Argv:       []string{plugin, keyDir(t, "client-root", key)}, Key: "client-root", Public: key.Public(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func rootTemplate(algorithm x509.SignatureAlgorithm) *x509.Certificate {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"},
		NotBefore: now, NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SignatureAlgorithm: algorithm,
	}
}

// A root, a CRL and, by the wrapper that signs leaves, a leaf, all signed by the plugin.
func TestSignCertificates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		key       string
		algorithm x509.SignatureAlgorithm // 0: what crypto/x509 takes by itself
		want      x509.SignatureAlgorithm
	}{
		{"ecdsa-p256", 0, x509.ECDSAWithSHA256},
		{"ecdsa-p384", 0, x509.ECDSAWithSHA384},
		{"ecdsa-p521", 0, x509.ECDSAWithSHA512},
		{"ecdsa-p256", x509.ECDSAWithSHA512, x509.ECDSAWithSHA512},
		{"rsa-3072", 0, x509.SHA256WithRSA},
		{"rsa-3072", x509.SHA384WithRSA, x509.SHA384WithRSA},
		{"rsa-3072", x509.SHA256WithRSAPSS, x509.SHA256WithRSAPSS},
		{"rsa-3072", x509.SHA512WithRSAPSS, x509.SHA512WithRSAPSS},
		{"ed25519", 0, x509.PureEd25519},
	}
	for _, test := range tests {
		t.Run(test.key+" "+test.want.String(), func(t *testing.T) {
			t.Parallel()
			signer := withExample(t, generate(t, test.key))
			template := rootTemplate(test.algorithm)
			der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
			if err != nil {
				t.Fatal(err)
			}
			root, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if root.SignatureAlgorithm != test.want {
				t.Errorf("signed with %s, want %s", root.SignatureAlgorithm, test.want)
			}
			if err := root.CheckSignatureFrom(root); err != nil {
				t.Errorf("the root: %v", err)
			}
			verifyWithOpenSSL(t, root)

			der, err = x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
				Number: big.NewInt(1), ThisUpdate: root.NotBefore, NextUpdate: root.NotAfter, SignatureAlgorithm: test.algorithm,
			}, root, signer)
			if err != nil {
				t.Fatal(err)
			}
			crl, err := x509.ParseRevocationList(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := crl.CheckSignatureFrom(root); err != nil {
				t.Errorf("the CRL: %v", err)
			}
			if test.algorithm == 0 {
				signLeaf(t, root, signer)
			}
		})
	}
}

// verifyWithOpenSSL asks another implementation than the one that signed.
func verifyWithOpenSSL(t *testing.T, root *x509.Certificate) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("openssl is not installed")
		return
	}
	path := filepath.Join(t.TempDir(), "root.crt")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), openssl, "verify", "-no_check_time", "-check_ss_sig", "-CAfile", path, path).CombinedOutput()
	if err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func signLeaf(t *testing.T, root *x509.Certificate, signer crypto.Signer) {
	t.Helper()
	ca, err := cfsslca.New(root, signer)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, generate(t, "ecdsa-p256"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Sign(leafcert.Request{
		Serial: big.NewInt(2), CommonName: "etcd-0", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.11")},
		EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
	}, csr)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "10.0.0.11", Roots: roots, CurrentTime: root.NotBefore.Add(time.Hour)}); err != nil {
		t.Errorf("the leaf: %v", err)
	}
}

// What a crypto.Signer is told and the protocol has no words for is refused before the
// plugin is asked.
func TestSignRefused(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("x"))
	sum512 := sha512.Sum512([]byte("x"))
	tests := []struct {
		name   string
		key    string
		digest []byte
		opts   crypto.SignerOpts
		want   string
	}{
		{"no options", "ecdsa-p256", sum[:], nil, "no hash was given"},
		{"no hash", "ecdsa-p256", sum[:], crypto.Hash(0), "want SHA-256"},
		{"SHA-1", "rsa-2048", sum[:20], crypto.SHA1, "the hash SHA-1"},
		{"a short digest", "ecdsa-p256", sum[:31], crypto.SHA256, "a digest of 31 bytes"},
		{"a digest of another hash", "rsa-2048", sum512[:], crypto.SHA256, "a digest of 64 bytes"},
		{"PSS with the longest salt", "rsa-2048", sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}, "a salt of another length"},
		{"PSS with a short salt", "rsa-2048", sum[:], &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}, "a salt of another length"},
		{"a prehashed message", "ed25519", sum512[:], &ed25519.Options{Hash: crypto.SHA512}, "only plain Ed25519"},
		{"a context", "ed25519", []byte("x"), &ed25519.Options{Context: "x"}, "only plain Ed25519"},
		{"a huge message", "ed25519", make([]byte, 1<<20+1), crypto.Hash(0), "at most 1048576"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			signature, err := withExample(t, generate(t, test.key)).Sign(rand.Reader, test.digest, test.opts)
			if err == nil || signature != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bytes, %v; want %q", len(signature), err, test.want)
			}
		})
	}
}

func TestSignLimits(t *testing.T) {
	t.Parallel()
	key := generate(t, "ed25519")
	signer := withExample(t, key)
	for name, message := range map[string][]byte{"empty": {}, "nil": nil, "the largest": make([]byte, 1<<20)} {
		signature, err := signer.Sign(nil, message, &ed25519.Options{})
		if err != nil || !ed25519.Verify(key.Public().(ed25519.PublicKey), message, signature) {
			t.Errorf("%s message: %v", name, err)
		}
	}
	sum := sha256.Sum256([]byte("x"))
	pss := &rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256}
	if _, err := withExample(t, generate(t, "rsa-2048")).Sign(nil, sum[:], pss); err != nil {
		t.Errorf("PSS with the salt's length in numbers: %v", err)
	}
}

func TestConcurrentSign(t *testing.T) {
	t.Parallel()
	signer := withExample(t, generate(t, "ecdsa-p256"))
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			sum := sha256.Sum256([]byte{i})
			if _, err := signer.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The plugin's key is compared with the certificate's, and taken where there is none yet.
func TestPublicKey(t *testing.T) {
	t.Parallel()
	plugin, err := buildExample()
	if err != nil {
		t.Fatalf("building the example plugin: %v", err)
	}
	key := generate(t, "ecdsa-p256")
	config := execsigner.Config{Supervisor: supervisor(), Argv: []string{plugin, keyDir(t, "root", key)}, Key: "root"}
	signer, err := execsigner.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if !key.Public().(*ecdsa.PublicKey).Equal(signer.Public()) {
		t.Error("not the plugin's key")
	}
	for _, other := range []string{"ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"} {
		config.Public = generate(t, other).Public()
		if _, err := execsigner.New(t.Context(), config); err == nil || !strings.Contains(err.Error(), "another key than the certificate") {
			t.Errorf("expecting another key, %s: %v", other, err)
		}
	}
}

// What the example plugin refuses reaches the operator, quoted.
func TestExampleRefuses(t *testing.T) {
	t.Parallel()
	plugin, err := buildExample()
	if err != nil {
		t.Fatalf("building the example plugin: %v", err)
	}
	dir := keyDir(t, "root", generate(t, "ecdsa-p256"))
	loose := keyDir(t, "root", generate(t, "ecdsa-p256"))
	if err := os.Chmod(filepath.Join(loose, "root.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		argv []string
		key  string
		want string
	}{
		{"no such key", []string{plugin, dir}, "nobody", `the plugin says: "stat `},
		{"a key outside of its folder", []string{plugin, dir}, "../root", "is no file name"},
		{"a key that others may read", []string{plugin, loose}, "root", "others may read"},
		{"wrong arguments", []string{plugin}, "root", `the plugin says: "usage: fileplugin KEYS"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := execsigner.New(t.Context(), execsigner.Config{Supervisor: supervisor(), Argv: test.argv, Key: test.key})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// The example's own key file is never in what it prints.
func TestExampleKeepsItsKey(t *testing.T) {
	t.Parallel()
	plugin, err := buildExample()
	if err != nil {
		t.Fatalf("building the example plugin: %v", err)
	}
	dir := keyDir(t, "root", generate(t, "ecdsa-p256"))
	keyPEM, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), plugin, dir)
	cmd.Stdin = strings.NewReader(`{"version":1,"op":"public-key","key":"root"}`)
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range bytes.Lines(keyPEM) {
		if bytes.Contains(out, bytes.TrimSpace(line)) {
			t.Errorf("it printed %q of its key file", line)
		}
	}
}
