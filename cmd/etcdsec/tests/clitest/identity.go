package clitest

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// Identity has the files of a CA and of a certificate that it signed.
type Identity struct {
	CA                     *throwaway.CA
	CAPath, Cert, Key, Dir string
}

// NewIdentity makes a CA with a unique name, and a leaf for 127.0.0.1, for clients and servers. If
// notAfter is zero, the leaf ends with the CA.
func NewIdentity(t testing.TB, notAfter time.Time) Identity {
	t.Helper()
	return NewIdentityOf(t, "test "+filepath.Base(t.TempDir()), notAfter, net.IPv4(127, 0, 0, 1))
}

// NewIdentityOf is NewIdentity with the name of the CA and the addresses of the leaf.
func NewIdentityOf(t testing.TB, name string, notAfter time.Time, addresses ...net.IP) Identity {
	t.Helper()
	now := time.Now()
	ca, err := throwaway.New(throwaway.Config{CommonName: name, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(90 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id := newLeaf(t, ca, throwaway.Leaf{CommonName: "auditor", NotAfter: notAfter, IPs: addresses, EKUs: bothUsages()})
	WriteFile(t, id.CAPath, ca.CertPEM())
	return id
}

func bothUsages() []x509.ExtKeyUsage {
	return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
}

// Another makes an identity of the same CA with another key.
func (id Identity) Another(t testing.TB) Identity {
	t.Helper()
	next := newLeaf(t, id.CA, throwaway.Leaf{CommonName: "auditor", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, EKUs: bothUsages()})
	next.CAPath = id.CAPath
	return next
}

// Named makes an identity of the same CA with a common name.
func (id Identity) Named(t testing.TB, name string) Identity {
	t.Helper()
	next := newLeaf(t, id.CA, throwaway.Leaf{CommonName: name})
	next.CAPath = id.CAPath
	return next
}

func newLeaf(t testing.TB, ca *throwaway.CA, template throwaway.Leaf) Identity {
	t.Helper()
	leaf, err := ca.Leaf(template)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := Identity{CA: ca, Dir: dir, CAPath: filepath.Join(dir, "ca.crt"), Cert: filepath.Join(dir, "client.crt"), Key: filepath.Join(dir, "client.key")}
	keyDER, err := x509.MarshalECPrivateKey(leaf.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, id.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	WriteFile(t, id.Key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	return id
}

// Pair loads the certificate and its key.
func (id Identity) Pair(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(id.Cert, id.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
