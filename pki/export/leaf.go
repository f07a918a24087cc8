package export

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"time"
)

// Leaf is an end-entity certificate as the store has it, with its chain, roots and key.
type Leaf struct {
	Ref
	Chain []*x509.Certificate // the leaf, then the issuing CA where there is one
	Trust []*x509.Certificate // the roots that its holder trusts
	Key   crypto.Signer       // nil when the key was made on the node and never left it

	cluster string // its name
}

// Cert returns the leaf's own certificate.
func (l Leaf) Cert() *x509.Certificate { return l.Chain[0] }

// verify checks that the key matches the certificate, and that the chain ends at a root that
// the holder trusts, for every planned purpose. An export is loaded elsewhere, where maybe
// nobody would notice a fault.
func (l Leaf) verify(ekus []x509.ExtKeyUsage, now time.Time) error {
	if l.Key != nil && !sameKey(l.Key.Public(), l.Cert().PublicKey) {
		return errors.New("the private key does not match the certificate")
	}
	roots, issuers := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range l.Trust {
		roots.AddCert(c)
	}
	for _, c := range l.Chain[1:] {
		issuers.AddCert(c)
	}
	for _, eku := range ekus {
		_, err := l.Cert().Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: issuers, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{eku},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// encodeCertificates returns the certificates as a PEM bundle, in the given order.
func encodeCertificates(certs []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a bytes.Buffer takes every write
	}
	return b.Bytes()
}

// encodeKey returns the key as PKCS #8 in PEM, the form of the store.
func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// mayBeClient reports whether a server accepts the leaf as a client certificate.
func (l Leaf) mayBeClient() bool {
	return slices.Contains(l.Cert().ExtKeyUsage, x509.ExtKeyUsageClientAuth)
}
