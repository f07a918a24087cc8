package pki

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is minted is of the store's own CAs, has its one fault, and leaves no trace.
func TestMint(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{"issuing CAs": withCRL, "one root each": "  pki: {hierarchy: single, crl: true}\n"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			c := specOf(t, 2, spec)
			issue(t, dir, c, testNow())
			if m, err := Mint(dir, testNow()); err != nil || m.Revoked != nil {
				t.Fatalf("before a revocation: %v, %v", m.Revoked, err)
			}
			entries, err := revokeErr(t, dir, c, Revocation{Which: "auditor", Reason: "keyCompromise", Current: true}, testNow())
			if err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			m, err := Mint(dir, testNow())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Error(diff)
			}
			if m.Revoked == nil || SerialString(m.Revoked.Leaf.SerialNumber) != entries[0].Serial {
				t.Errorf("revoked: %+v, want serial number %s", m.Revoked, entries[0].Serial)
			}
			verified := func(chain [][]byte, root string, at time.Time, ekus ...x509.ExtKeyUsage) error {
				roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
				roots.AddCert(readChain(t, filepath.Join(dir, "authorities", root, "ca.crt"))[0])
				for _, der := range chain[1:] {
					cert, err := x509.ParseCertificate(der)
					if err != nil {
						t.Fatal(err)
					}
					intermediates.AddCert(cert)
				}
				leaf, err := x509.ParseCertificate(chain[0])
				if err != nil {
					t.Fatal(err)
				}
				_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: ekus})
				return err
			}
			client := x509.ExtKeyUsageClientAuth
			if err := verified(m.Expired.Certificate, ClientRoot, testNow(), client); err == nil || !strings.Contains(err.Error(), "expired") {
				t.Errorf("expired: %v", err)
			}
			if err := verified(m.ServersOnly.Certificate, ClientRoot, testNow(), client); err == nil || !strings.Contains(err.Error(), "incompatible key usage") {
				t.Errorf("for servers only: %v", err)
			}
			if err := verified(m.Revoked.Certificate, ClientRoot, testNow(), client); err != nil {
				t.Errorf("revoked, which a CRL alone tells: %v", err)
			}
			if err := m.Elsewhere.Leaf.VerifyHostname("192.0.2.1"); err != nil {
				t.Error(err)
			}
			if err := verified(m.Elsewhere.Certificate, PeerRoot, testNow(), client); err != nil && !strings.Contains(err.Error(), "not permitted by any constraint") {
				t.Errorf("elsewhere: %v", err)
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	if _, err := Mint(dir, testNow()); err == nil || !strings.Contains(err.Error(), SpecName) {
		t.Errorf("no store: %v", err)
	}
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	key := filepath.Join(dir, "authorities", ClientIssuing, "ca.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Mint(dir, testNow()); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a key that everybody reads: %v", err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := Mint(dir, testNow()); err == nil || !strings.Contains(err.Error(), "the key of client-issuing is not in the store") {
		t.Errorf("no key: %v", err)
	}
}
