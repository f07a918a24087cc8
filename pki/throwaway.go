package pki

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

// ThrowawayConfig says what an in-memory CA looks like, faults included.
type ThrowawayConfig struct {
	CommonName string
	// RawSubject is a whole DER subject in place of CommonName: a CA that claims another one's name.
	RawSubject []byte
	NotBefore  time.Time
	NotAfter   time.Time
	// Key is the CA's; nil is a new P-256 key. A weak one, or one that another CA has too, is a fault to find.
	Key crypto.Signer
	// EKUs limit what the CA may sign for; none is no limit.
	EKUs []x509.ExtKeyUsage
}

// Throwaway is a CA that lives in memory only. The auditor presents its certificates to
// see them refused, and tests use it to make servers and clients with chosen faults.
// Its keys are never written, so nothing it signs is worth stealing.
type Throwaway struct {
	cert *x509.Certificate
	key  crypto.Signer
	// chain are the CAs that a leaf's holder presents with it, in DER: none for a root.
	chain [][]byte
}

// NewThrowaway makes a self-signed CA.
func NewThrowaway(config ThrowawayConfig) (*Throwaway, error) { return newThrowaway(config, nil) }

// Issuing makes a CA below this one. Like Leaf, it signs whatever it is told to.
func (t *Throwaway) Issuing(config ThrowawayConfig) (*Throwaway, error) {
	return newThrowaway(config, t)
}

// newThrowaway makes a CA that parent signs; nil is the CA itself.
func newThrowaway(config ThrowawayConfig, parent *Throwaway) (*Throwaway, error) {
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
	key, err := throwawayKey(config.Key)
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
	return &Throwaway{cert: cert, key: key}, nil
}

func throwawayKey(given crypto.Signer) (crypto.Signer, error) {
	if given != nil {
		return given, nil
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// Certificate is the CA's own.
func (t *Throwaway) Certificate() *x509.Certificate { return t.cert }

// Pool holds only this CA.
func (t *Throwaway) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(t.cert)
	return pool
}

// CertPEM is the CA's certificate, PEM-encoded, for a trusted-CA file.
func (t *Throwaway) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: t.cert.Raw})
}

// LeafTemplate says what a leaf looks like. Zero times are the CA's own, so that a leaf of
// an expired CA is expired too. No EKUs means none in the certificate; no key usage is
// digitalSignature; a nil key is a new P-256 one.
type LeafTemplate struct {
	CommonName string
	IPs        []net.IP
	DNSNames   []string
	EKUs       []x509.ExtKeyUsage
	KeyUsage   x509.KeyUsage
	IsCA       bool // a leaf that can sign others
	NotBefore  time.Time
	NotAfter   time.Time
	Serial     *big.Int // nil: a random one
	Key        crypto.Signer
}

// Leaf signs a leaf. It signs whatever it is told to, also a
// leaf that outlives its CA.
func (t *Throwaway) Leaf(leaf LeafTemplate) (tls.Certificate, error) {
	key, err := throwawayKey(leaf.Key)
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
		template.NotBefore = t.cert.NotBefore
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = t.cert.NotAfter
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, t.cert, key.Public(), t.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a throwaway leaf: %w", err)
	}
	parsed, err := x509.ParseCertificate(certDER)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a throwaway leaf: %w", err)
	}
	return tls.Certificate{Certificate: append([][]byte{certDER}, t.chain...), PrivateKey: key, Leaf: parsed}, nil
}
