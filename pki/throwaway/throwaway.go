// Package throwaway makes certificates in memory, with faults if asked. The auditor presents them
// to see whether a server refuses them; drills and tests run servers and clients with them. It never
// writes the keys that it makes, so nobody can steal them.
package throwaway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Config describes a CA. NotBefore must be before NotAfter.
type Config struct {
	CommonName string
	// RawSubject replaces CommonName by a whole DER subject: a CA that claims another one's name.
	RawSubject []byte
	NotBefore  time.Time
	NotAfter   time.Time
	// Key is the CA's key; nil makes a new P-256 key. A weak or shared key is a fault to find.
	Key crypto.Signer
	// EKUs limit the key usages of leaves; no EKUs set no limit.
	EKUs []x509.ExtKeyUsage
}

// CA signs certificates and lives in memory only.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
	// chain has the CAs that the holder of a leaf presents with it, in DER; a root has none.
	chain [][]byte
}

// New makes a self-signed CA.
func New(config Config) (*CA, error) { return newCA(config, nil) }

// Issuing makes a CA that this one signs. Like Leaf, it signs anything.
func (ca *CA) Issuing(config Config) (*CA, error) { return newCA(config, ca) }

// Borrow makes a CA from an existing certificate and its key. The holder of each leaf presents
// the CAs in above with it.
func Borrow(cert *x509.Certificate, key crypto.Signer, above ...*x509.Certificate) *CA {
	ca := &CA{cert: cert, key: key}
	for _, c := range above {
		ca.chain = append(ca.chain, c.Raw)
	}
	return ca
}

// newCA makes a CA that parent signs. Without a parent, the CA signs itself.
func newCA(config Config, parent *CA) (*CA, error) {
	if !config.NotBefore.Before(config.NotAfter) {
		return nil, fmt.Errorf("making a throwaway CA: it ends (%s) before it begins (%s)",
			config.NotAfter.Format(time.RFC3339), config.NotBefore.Format(time.RFC3339))
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: config.CommonName},
		RawSubject:            config.RawSubject,
		NotBefore:             config.NotBefore,
		NotAfter:              config.NotAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           config.EKUs,
	}
	key, err := keyOrNew(config.Key)
	if err != nil {
		return nil, fmt.Errorf("making a throwaway CA: %w", err)
	}
	issuer, issuerKey := template, key
	if parent != nil {
		issuer, issuerKey = parent.cert, parent.key
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, fmt.Errorf("making a throwaway CA: %w", err)
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, fmt.Errorf("making a throwaway CA: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// keyOrNew returns the given key, or a new one if there is none.
func keyOrNew(given crypto.Signer) (crypto.Signer, error) {
	if given != nil {
		return given, nil
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// Certificate returns the CA's own certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// Pool returns a pool that has only this CA.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// CertPEM returns the CA's certificate in PEM, for a trusted-CA file.
func (ca *CA) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Leaf describes a leaf. Zero times mean those of the CA, so that a leaf of an expired CA is
// expired too. Without EKUs the certificate has none. Without a key usage it has digitalSignature.
// Without a key, it gets a new P-256 key.
type Leaf struct {
	CommonName string
	IPs        []net.IP
	DNSNames   []string
	EKUs       []x509.ExtKeyUsage
	KeyUsage   x509.KeyUsage
	IsCA       bool // a leaf that can sign others
	NotBefore  time.Time
	NotAfter   time.Time
	Serial     *big.Int // nil makes a random one
	Key        crypto.Signer
}

// Leaf signs a leaf. It signs anything, even a leaf that outlives its CA.
func (ca *CA) Leaf(leaf Leaf) (tls.Certificate, error) {
	key, err := keyOrNew(leaf.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a throwaway leaf: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          leaf.Serial,
		Subject:               pkix.Name{CommonName: leaf.CommonName},
		NotBefore:             leaf.NotBefore,
		NotAfter:              leaf.NotAfter,
		IPAddresses:           leaf.IPs,
		DNSNames:              leaf.DNSNames,
		ExtKeyUsage:           leaf.EKUs,
		KeyUsage:              leaf.KeyUsage,
		IsCA:                  leaf.IsCA,
		BasicConstraintsValid: true,
	}
	if template.KeyUsage == 0 {
		template.KeyUsage = x509.KeyUsageDigitalSignature
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = ca.cert.NotBefore
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = ca.cert.NotAfter
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a throwaway leaf: %w", err)
	}
	parsed, err := x509.ParseCertificate(certDER)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a throwaway leaf: %w", err)
	}
	return tls.Certificate{Certificate: append([][]byte{certDER}, ca.chain...), PrivateKey: key, Leaf: parsed}, nil
}
