// Package throwaway makes certificates in memory, faults included: what the auditor
// presents to see it refused, and what drills and tests run servers and clients with. The
// keys that it makes are never written, so nothing that they sign is worth stealing.
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
	// Key is the CA's; nil makes a new P-256 key. A weak one, or one that another CA has too, is a fault to find.
	Key crypto.Signer
	// EKUs limit what the CA may sign for; none sets no limit.
	EKUs []x509.ExtKeyUsage
}

// CA signs certificates and lives in memory only.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
	// chain holds the CAs that a leaf's holder presents with it, in DER: none for a root.
	chain [][]byte
}

// New makes a self-signed CA.
func New(config Config) (*CA, error) { return newCA(config, nil) }

// Issuing makes a CA below this one. Like Leaf, it signs whatever it is told to.
func (ca *CA) Issuing(config Config) (*CA, error) { return newCA(config, ca) }

// Borrow makes a CA of a certificate and its key that exist elsewhere. Each leaf carries
// above, the CAs that its holder presents with it.
func Borrow(cert *x509.Certificate, key crypto.Signer, above ...*x509.Certificate) *CA {
	ca := &CA{cert: cert, key: key}
	for _, c := range above {
		ca.chain = append(ca.chain, c.Raw)
	}
	return ca
}

// newCA makes a CA that parent signs; without a parent the CA signs itself.
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

// keyOrNew returns the given key, or makes one.
func keyOrNew(given crypto.Signer) (crypto.Signer, error) {
	if given != nil {
		return given, nil
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// Certificate returns the CA's own certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// Pool returns a pool that holds only this CA.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// CertPEM returns the CA's certificate in PEM, for a trusted-CA file.
func (ca *CA) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Leaf describes a leaf. Zero times are the CA's own, so that a leaf of an expired CA is
// expired too. No EKUs means none in the certificate; no key usage means digitalSignature;
// no key makes a new P-256 one.
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

// Leaf signs a leaf. It signs whatever it is told to, also a leaf that outlives its CA.
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
