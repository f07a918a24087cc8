package collect

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/clientcert"
)

// writePair writes a certificate that ends in a day, and its key.
func writePair(t *testing.T, dir string, now time.Time) (certPath, keyPath string) {
	t.Helper()
	pair, err := newStranger(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certPath, keyPath = filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	writeFile(t, certPath, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	writeFile(t, keyPath, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return certPath, keyPath
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialFiles(t *testing.T) {
	now, dir := time.Now(), t.TempDir()
	certPath, keyPath := writePair(t, dir, now)
	empty := filepath.Join(dir, "empty.pem")
	writeFile(t, empty, "")

	whole := CredentialFiles{CAPath: certPath, CertPath: certPath, KeyPath: keyPath}
	if got, err := whole.Load(now); err != nil || got.Certificate == nil || got.Roots == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := (CredentialFiles{}).Load(now); err != nil || got.Certificate != nil || got.Roots != nil {
		t.Errorf("no files give %+v, %v", got, err)
	}
	isRoots := func(err error) bool { _, ok := errors.AsType[*RootsError](err); return ok }
	isValidity := func(expired bool) func(error) bool {
		return func(err error) bool {
			fault, ok := errors.AsType[*clientcert.ValidityError](err)
			return ok && fault.Expired == expired && fault.Path == certPath
		}
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	any := func(err error) bool { return err != nil }
	for name, c := range map[string]struct {
		files CredentialFiles
		now   time.Time
		want  func(error) bool
	}{
		"no key":               {CredentialFiles{CertPath: certPath}, now, is(ErrNoKey)},
		"no certificate":       {CredentialFiles{KeyPath: keyPath}, now, is(ErrNoCertificate)},
		"no CAs in the file":   {CredentialFiles{CAPath: keyPath}, now, isRoots},
		"an empty file of CAs": {CredentialFiles{CAPath: empty}, now, isRoots},
		"no file":              {CredentialFiles{CertPath: certPath, KeyPath: dir + "/none"}, now, is(fs.ErrNotExist)},
		"a folder":             {CredentialFiles{CertPath: dir, KeyPath: keyPath}, now, any},
		"not a pair":           {CredentialFiles{CertPath: certPath, KeyPath: certPath}, now, any},
		"expired":              {whole, now.Add(48 * time.Hour), isValidity(true)},
		"not valid yet":        {whole, now.Add(-48 * time.Hour), isValidity(false)},
	} {
		if got, err := c.files.Load(c.now); !c.want(err) || got.Certificate != nil || got.Roots != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestStoreCredentials(t *testing.T) {
	now, store := time.Now(), t.TempDir()
	if _, err := StoreCredentials(store); !errors.Is(err, ErrNoAuditor) || !strings.Contains(err.Error(), store) {
		t.Errorf("got %v", err)
	}
	dir := filepath.Join(store, "clients", "auditor")
	certPath, _ := writePair(t, dirMade(t, dir), now)
	writeFile(t, filepath.Join(dir, "ca.crt"), readText(t, certPath))
	files, err := StoreCredentials(store)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := files.Load(now); err != nil || got.Certificate == nil || got.Roots == nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func dirMade(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLoadFaulty(t *testing.T) {
	certPath, keyPath := writePair(t, t.TempDir(), time.Now().Add(-72*time.Hour))
	files := certPath + "," + keyPath
	got, err := LoadFaulty(nil, []string{"expired=" + files, "revoked=" + files})
	if err != nil || len(got) != 2 || got[0].Identity != audit.ExpiredCertificate || got[1].Identity != audit.RevokedCertificate || got[0].Certificate == (*tls.Certificate)(nil) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, written := range [][]string{{"old=" + files}, {"expired"}, {"expired=" + certPath}, {"expired=," + keyPath}, {"revoked=" + files, "revoked=" + files}} {
		_, err := LoadFaulty(nil, written)
		if fault, ok := errors.AsType[*FaultSyntaxError](err); !ok || fault.Written != written[len(written)-1] {
			t.Errorf("%q: %v", written, err)
		}
	}
	if _, err := LoadFaulty(nil, []string{"expired=" + certPath + ",/none"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
