package pki

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// opensslFiles are a key and its certificate in the forms that openssl writes.
type opensslFiles struct{ key, cert []byte }

// runOpenSSL runs openssl in a folder and returns what it prints.
func runOpenSSL(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed; .ci/run installs it")
	}
	cmd := exec.Command(openssl, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// What etcd takes as a certificate and its key (it calls tls.X509KeyPair) is read here, whatever is
// around the blocks and in whichever order they are. What is damaged is an error, though etcd may
// pass over it.
func TestPEMFilesAsEtcdReadsThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self := func(key string) opensslFiles {
		t.Helper()
		runOpenSSL(t, dir, "req", "-x509", "-key", key, "-subj", "/CN=m0", "-days", "30", "-out", key+".crt")
		read := func(name string) []byte {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		return opensslFiles{read(key), read(key + ".crt")}
	}
	cases := map[string]opensslFiles{}
	for _, curve := range []string{"prime256v1", "secp384r1", "secp521r1"} {
		name := curve + ".key"
		runOpenSSL(t, dir, "ecparam", "-name", curve, "-genkey", "-out", name)
		made := self(name)
		if !bytes.Contains(made.key, []byte("BEGIN EC PARAMETERS")) {
			t.Fatalf("no EC PARAMETERS in what openssl made:\n%s", made.key)
		}
		cases["EC PARAMETERS, "+curve] = made
		cases["no public half, "+curve] = opensslFiles{runOpenSSL(t, dir, "ec", "-in", name, "-no_public"), made.cert}
	}
	p256 := cases["EC PARAMETERS, prime256v1"]
	plain := runOpenSSL(t, dir, "pkey", "-in", "prime256v1.key")
	cases["PKCS #8"] = opensslFiles{plain, p256.cert}
	runOpenSSL(t, dir, "genpkey", "-algorithm", "ed25519", "-out", "ed.key")
	cases["Ed25519"] = self("ed.key")
	runOpenSSL(t, dir, "genrsa", "-traditional", "-out", "rsa.key", "2048")
	cases["PKCS #1"] = self("rsa.key")
	cases["openssl -text"] = opensslFiles{
		runOpenSSL(t, dir, "pkey", "-in", "prime256v1.key", "-text"),
		runOpenSSL(t, dir, "x509", "-in", "prime256v1.key.crt", "-text"),
	}
	runOpenSSL(t, dir, "pkcs12", "-export", "-inkey", "prime256v1.key", "-in", "prime256v1.key.crt", "-passout", "pass:", "-out", "m0.p12")
	bags := runOpenSSL(t, dir, "pkcs12", "-in", "m0.p12", "-nodes", "-passin", "pass:")
	if !bytes.Contains(bags, []byte("Bag Attributes")) {
		t.Fatalf("no Bag Attributes in what openssl made:\n%s", bags)
	}
	cases["Bag Attributes, certificate first"] = opensslFiles{bags, bags}
	both := slices.Concat(p256.key, p256.cert)
	cases["key first"] = opensslFiles{both, both}
	both = slices.Concat([]byte("# etcd, made by hand\n"), p256.cert, []byte("\n# and its key\n"), p256.key)
	cases["certificate first, comments"] = opensslFiles{both, both}
	cases["Windows line ends"] = opensslFiles{bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")), bytes.ReplaceAll(p256.cert, []byte("\n"), []byte("\r\n"))}
	cases["text that begins like DER"] = opensslFiles{append([]byte("0 s:CN = m0\n"), plain...), append([]byte("0 s:CN = m0\n"), p256.cert...)}
	for name, files := range cases {
		t.Run(name, func(t *testing.T) {
			pair, err := tls.X509KeyPair(files.cert, files.key)
			if err != nil {
				t.Fatalf("etcd would not take it: %v", err)
			}
			certs, err := ParseCertificates(files.cert)
			if err != nil || len(certs) != 1 || !certs[0].Equal(pair.Leaf) {
				t.Errorf("the certificate: %v", err)
			}
			key, err := ParseKey(files.key)
			if err != nil || !samePublicKey(key.Public(), pair.Leaf.PublicKey) {
				t.Errorf("the key: %v", err)
			}
		})
	}
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"a cut block before it":      {slices.Concat(p256.cert[:100], []byte("\n"), p256.cert), "PEM block 1 is cut short or damaged"},
		"a cut block behind it":      {slices.Concat(p256.cert, p256.cert[:100]), "PEM block 2 is cut short or damaged"},
		"a beginning lost":           {slices.Concat([]byte("MIIB\n-----END CERTIFICATE-----\n"), p256.cert), "PEM block 1 is cut short or damaged"},
		"a dash lost":                {slices.Concat(p256.cert[1:], p256.cert), "PEM block 1 is cut short or damaged"},
		"an indented block":          {slices.Concat(p256.cert, []byte("  "), p256.cert), "PEM block 2 is cut short or damaged"},
		"a mark before it":           {append([]byte("\xef\xbb\xbf"), p256.cert...), "a byte order mark"},
		"a trusted certificate":      {runOpenSSL(t, dir, "x509", "-in", "prime256v1.key.crt", "-trustout"), "which etcd skips"},
		"parameters alone":           {p256.key[:bytes.Index(p256.key, []byte("-----BEGIN EC PRIVATE"))], `only a PEM block of type "EC PARAMETERS"`},
		"a certificate that is none": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("junk")}), "certificate 1: "},
	} {
		if certs, err := ParseCertificates(tc.data); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %d certificates, %v, want %q", name, len(certs), err, tc.want)
		}
	}
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"two keys":  {slices.Concat(plain, plain), "it has 2 private keys"},
		"no key":    {p256.cert, "a certificate, want a private key"},
		"encrypted": {runOpenSSL(t, dir, "pkey", "-in", "prime256v1.key", "-aes256", "-passout", "pass:x"), "encrypted"},
		"a cut key": {slices.Concat(p256.cert, plain[:100]), "cut short or damaged"},
	} {
		if _, err := ParseKey(tc.data); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	// etcd takes every block of a trusted CA file for a certificate, and does not start otherwise.
	if certs, err := ParseTrust(slices.Concat([]byte("# the CAs\n"), p256.cert, cases["Ed25519"].cert)); err != nil || len(certs) != 2 {
		t.Errorf("two CAs: %d, %v", len(certs), err)
	}
	for _, data := range [][]byte{slices.Concat(p256.cert, plain), slices.Concat(p256.key, p256.cert)} {
		if _, err := ParseTrust(data); err == nil || !strings.Contains(err.Error(), "etcd does not start with such a trusted CA file") {
			t.Errorf("a trusted CA file with a key: %v", err)
		}
	}
}
