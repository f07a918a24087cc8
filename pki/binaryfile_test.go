package pki

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is no PEM is refused with its name, and with a command that makes PEM of it.
func TestFilesInOtherForms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runOpenSSL(t, dir, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "a.key", "-subj", "/CN=m0", "-out", "a.crt")
	runOpenSSL(t, dir, "pkcs12", "-export", "-inkey", "a.key", "-in", "a.crt", "-passout", "pass:secret", "-out", "a.p12")
	runOpenSSL(t, dir, "crl2pkcs7", "-nocrl", "-certfile", "a.crt", "-outform", "DER", "-out", "a.p7b")
	runOpenSSL(t, dir, "x509", "-in", "a.crt", "-outform", "DER", "-out", "a.der")
	runOpenSSL(t, dir, "pkey", "-in", "a.key", "-outform", "DER", "-out", "k.der")
	certs := func(path string) error { _, err := ReadCertificates(path); return err }
	key := func(path string) error { _, err := ReadKey(path); return err }
	cases := []struct {
		file string
		read func(path string) error
		want string
	}{
		{"a.p12", certs, "it is PKCS #12, want PEM: openssl pkcs12 -nokeys"},
		{"a.p12", key, "it is PKCS #12, want PEM: openssl pkcs12 -nocerts"},
		{"a.p7b", certs, "it is PKCS #7, want PEM: openssl pkcs7"},
		{"a.der", certs, "it is DER, want PEM: openssl x509"},
		{"k.der", key, "it is DER, want PEM: openssl pkey"},
	}
	for _, c := range cases {
		path := filepath.Join(dir, c.file)
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		err := c.read(path)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.file, err, c.want)
			continue
		}
		_, command, _ := strings.Cut(err.Error(), "want PEM: openssl ")
		args := strings.Fields(strings.NewReplacer("FILE.pem", c.file+".pem", "FILE", c.file).Replace(command))
		if args[0] == "pkcs12" {
			args = append(args, "-passin", "pass:secret")
		}
		runOpenSSL(t, dir, args...)
		if err := os.Chmod(path+".pem", 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.read(path + ".pem"); err != nil {
			t.Errorf("%s, converted by %q: %v", c.file, args, err)
		}
	}
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		return // the magic of its files is tested by what follows where Java is
	}
	cmd := exec.Command(keytool, "-genkeypair", "-keyalg", "EC", "-alias", "a", "-dname", "CN=m0", "-storetype", "JKS", "-keystore", "a.jks", "-storepass", "secret", "-keypass", "secret")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := certs(filepath.Join(dir, "a.jks")); err == nil || !strings.Contains(err.Error(), "it is a Java keystore, want PEM: keytool") {
		t.Errorf("a Java keystore: %v", err)
	}
}
