package export

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

const password = "correct horse battery staple"

func TestPKCS12(t *testing.T) {
	t.Parallel()
	for _, more := range []string{
		"  pki: {keyAlgorithm: ecdsa-p256}\n", "  pki: {keyAlgorithm: ecdsa-p384}\n", "  pki: {keyAlgorithm: ed25519}\n",
		"  pki: {keyAlgorithm: rsa-3072, hierarchy: single}\n", // keys that take seconds to find
	} {
		t.Run(strings.TrimSpace(more), func(t *testing.T) {
			t.Parallel()
			store := open(t, bootstrap(t, "\n      - {name: etcd-0, addresses: [10.0.0.11]}\n", more, testNow()))
			l := read(t, store, "etcd-0/peer")
			data, err := PKCS12(l, password)
			if err != nil {
				t.Fatal(err)
			}
			checkDecodes(t, l, data, password)
			again, err := PKCS12(l, password)
			if err != nil || !bytes.Equal(data, again) {
				t.Errorf("other bytes the second time, %v", err)
			}
			if _, _, _, err := pkcs12.DecodeChain(data, password+"x"); !errors.Is(err, pkcs12.ErrIncorrectPassword) {
				t.Errorf("with another password: %v", err)
			}
		})
	}
}

// checkDecodes wants the leaf's key, its certificate, its issuing CA and its root, in this order.
func checkDecodes(t *testing.T, l Leaf, data []byte, password string) {
	t.Helper()
	key, cert, authorities, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		t.Fatal(err)
	}
	equal, ok := key.(interface{ Equal(crypto.PrivateKey) bool })
	if !ok || !equal.Equal(l.Key) {
		t.Errorf("%s: another key, a %T", l.Name, key)
	}
	want := append(append([]*x509.Certificate{}, l.Chain...), l.Trust...)
	got := append([]*x509.Certificate{cert}, authorities...)
	if len(got) != len(want) {
		t.Fatalf("%s: %d certificates, want %d", l.Name, len(got), len(want))
	}
	for i := range want {
		if !got[i].Equal(want[i]) {
			t.Errorf("%s: certificate %d is that of %s, want %s", l.Name, i, got[i].Subject, want[i].Subject)
		}
	}
}

// No two files share a salt, but for two of the same contents under other passwords.
func TestPKCS12Salts(t *testing.T) {
	t.Parallel()
	store := open(t, bootstrap(t, twoMembers, "", testNow()))
	seen := map[string]string{}
	for _, r := range store.Leaves() {
		l := read(t, store, r.Name)
		for what, authorities := range map[string][]*x509.Certificate{"alone": nil, "chain": l.Chain[1:], "root too": append(l.Chain[1:2:2], l.Trust...)} {
			s, err := salts(l, authorities)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(s); i += 16 {
				at := string(s[i : i+16])
				if seen[at] != "" {
					t.Errorf("%s %s has a salt of %s", r.Name, what, seen[at])
				}
				seen[at] = r.Name + " " + what
			}
		}
	}
	l := read(t, store, "etcd-0/server")
	one, err := PKCS12(l, password)
	if err != nil {
		t.Fatal(err)
	}
	other, err := PKCS12(l, password+"x")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(one, other) {
		t.Error("two passwords gave one file")
	}
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for password, good := range map[string]bool{
		"x": true, " ": true, "!~": true, strings.Repeat("x", 4096): true,
		"": false, "x\n": false, "\x00": false, "tab\t": false, "é": false, "\x7f": false, "\xff": false, "€uro": false,
	} {
		err := CheckPassword(password)
		if (err == nil) != good {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
	if _, err := PKCS12(Leaf{}, ""); err == nil {
		t.Error("an empty password was taken")
	}
}

// openssl reads the file, and it says that nothing in it is weak.
func TestOpenSSLReadsPKCS12(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	file, passwordFile, l := writePKCS12(t)
	out, err := exec.CommandContext(t.Context(), openssl, "pkcs12", "-info", "-noout", "-in", file, "-passin", "file:"+passwordFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info := string(out)
	for _, want := range []string{"MAC: sha256, Iteration 100000", "Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256", "Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256"} {
		if !strings.Contains(info, want) {
			t.Errorf("%q is not in\n%s", want, info)
		}
	}
	for _, weak := range []string{"RC2", "DES", "SHA1", "sha1", "RC4"} {
		if strings.Contains(info, weak) {
			t.Errorf("%s is in\n%s", weak, info)
		}
	}
	if n := strings.Count(info, "Certificate bag"); n != 3 {
		t.Errorf("%d certificates, want 3", n)
	}
	out, err = exec.CommandContext(t.Context(), openssl, "pkcs12", "-nokeys", "-clcerts", "-in", file, "-passin", "file:"+passwordFile).CombinedOutput()
	if err != nil || !bytes.Contains(out, bytes.TrimSpace(encodeCertificates(l.Chain[:1]))) {
		t.Errorf("the key's certificate is not the leaf: %v\n%s", err, out)
	}
}

// Java builds the whole chain from the file.
func TestJavaReadsPKCS12(t *testing.T) {
	t.Parallel()
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		t.Skip("Java is not installed")
	}
	file, passwordFile, _ := writePKCS12(t)
	out, err := exec.CommandContext(t.Context(), keytool, "-J-Duser.language=en", "-list", "-v", "-storetype", "PKCS12", "-keystore", file, "-storepass:file", passwordFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Your keystore contains 1 entry", "Entry type: PrivateKeyEntry", "Certificate chain length: 3", "Owner: CN=auditor"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func writePKCS12(t *testing.T) (file, passwordFile string, l Leaf) {
	t.Helper()
	l = read(t, open(t, bootstrap(t, twoMembers, "", testNow())), "clients/auditor")
	data, err := PKCS12(l, password)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, passwordFile = filepath.Join(dir, "auditor.p12"), filepath.Join(dir, "password")
	rewrite(t, data, 0o600, file)
	rewrite(t, []byte(password), 0o600, passwordFile)
	return file, passwordFile, l
}
