package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/throwaway"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// writePair writes a certificate that is valid for a day from start, and its key.
func writePair(t *testing.T, dir, name string) (certPath, keyPath string, caPEM []byte) {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: "ca", NotBefore: start, NotAfter: start.Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(throwaway.Leaf{CommonName: name})
	if err != nil {
		t.Fatal(err)
	}
	certPath, keyPath = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	write(t, certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	write(t, keyPath, keyPEM(t, leaf))
	return certPath, keyPath, ca.CertPEM()
}

func keyPEM(t *testing.T, leaf tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestValidPair(t *testing.T) {
	t.Parallel()
	cert, key, _ := writePair(t, t.TempDir(), "alice")
	_, otherKey, _ := writePair(t, t.TempDir(), "bob")
	pair, err := ValidPair(nil, cert, key, start.Add(time.Hour))
	if err != nil || pair.Leaf.Subject.CommonName != "alice" {
		t.Fatalf("%v, %v", pair, err)
	}
	for name, c := range map[string]struct {
		now     time.Time
		expired bool
	}{
		"expired":   {start.Add(48 * time.Hour), true},
		"not valid": {start.Add(-48 * time.Hour), false},
	} {
		_, err := ValidPair(nil, cert, key, c.now)
		invalid, ok := errors.AsType[*ValidityError](err)
		if !ok || invalid.Expired != c.expired || invalid.Path != cert || !strings.Contains(err.Error(), "every server would refuse it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Pair(nil, cert, otherKey); err == nil || !strings.Contains(err.Error(), otherKey) {
		t.Errorf("a key of another certificate: %v", err)
	}
	if _, err := Pair(nil, cert, key+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
}

// No file of another kind or size is taken, and no error quotes what is in it.
func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _, ca := writePair(t, dir, "alice")
	empty, secret, large, bundle := filepath.Join(dir, "empty"), filepath.Join(dir, "secret"), filepath.Join(dir, "large"), filepath.Join(dir, "ca.crt")
	write(t, empty, nil)
	write(t, secret, []byte("hunter2"))
	write(t, large, append(ca, make([]byte, maxPEM)...))
	write(t, bundle, ca)
	if _, err := Pool(nil, bundle); err != nil {
		t.Error(err)
	}
	if leaf, err := Certificate(nil, bundle); err != nil || leaf.Subject.CommonName != "ca" {
		t.Errorf("%v, %v", leaf, err)
	}
	for _, path := range []string{empty, secret, large, dir, filepath.Join(dir, "absent")} {
		_, poolErr := Pool(nil, path)
		_, certErr := Certificate(nil, path)
		_, pairErr := Pair(nil, path, path)
		for _, err := range []error{poolErr, certErr, pairErr} {
			if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		if _, err := Pool(nil, "/dev/zero"); err == nil {
			t.Error("a device without an end was read")
		}
	}
}
