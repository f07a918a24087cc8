package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// encodeCertificates returns a PEM bundle in the given order, leaf first.
func encodeCertificates(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a bytes.Buffer takes every write
	}
	return b.Bytes()
}

// ParseCertificates reads the certificates of a PEM file, leaf first. Like etcd, it skips other text
// and other blocks, such as a key in the same file (crypto/tls.X509KeyPair). A block that is damaged,
// or is a certificate in a form that etcd does not take, is an error.
func ParseCertificates(certPEM []byte) ([]*x509.Certificate, error) {
	blocks, err := parsePEM(certPEM, "x509")
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for i, block := range blocks {
		switch {
		case block.Type == pemCertificate:
		case strings.HasSuffix(block.Type, " "+pemCertificate):
			return nil, fmt.Errorf("PEM block %d is of type %q, which etcd skips: openssl x509 -in FILE -out FILE.pem", i+1, block.Type)
		default:
			continue
		}
		cert, err := parseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	switch {
	case len(certs) > 0:
		return certs, nil
	case hasKey(blocks):
		return nil, errIsKey
	}
	return nil, &noCertificateError{blocks[0].Type}
}

// ParseTrust reads a trusted CA file. Like etcd, it takes every block for a certificate, whatever its
// type (etcd-io/etcd client/pkg/tlsutil, NewCertPool): etcd does not start with any other one.
func ParseTrust(trustPEM []byte) ([]*x509.Certificate, error) {
	blocks, err := parsePEM(trustPEM, "x509")
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for i, block := range blocks {
		cert, err := parseCertificate(block.Bytes)
		if errors.Is(err, errHugeKey) {
			return nil, fmt.Errorf("PEM block %d: %w", i+1, err)
		}
		if err != nil {
			return nil, fmt.Errorf("PEM block %d, of type %q, is not a certificate: etcd does not start with such a trusted CA file", i+1, block.Type)
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// maxRSABits bounds the work with an RSA key of a stranger: to verify one signature takes seconds with
// 500,000 bits. crypto/tls takes keys of up to 8,192 bits.
const maxRSABits = 16384

// errHugeKey means that an RSA key is too large to work with.
var errHugeKey = fmt.Errorf("its RSA key has more than %d bits", maxRSABits)

func parseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return nil, errHugeKey
	}
	return cert, nil
}

// errIsKey means that a file holds a private key and no certificate.
var errIsKey = errors.New("a private key, want a certificate")

// noCertificateError reports a file that holds other PEM blocks than certificates and keys.
type noCertificateError struct{ blockType string }

func (e *noCertificateError) Error() string {
	return fmt.Sprintf("no certificate in it, only a PEM block of type %q", e.blockType)
}

// nameOf returns the CN of a certificate's subject, or the whole subject if it has none.
func nameOf(cert *x509.Certificate) string {
	if cert.Subject.CommonName != "" {
		return cert.Subject.CommonName
	}
	return cert.Subject.String()
}

// serialBits leaves the top bit of 20 octets clear, so that the number is positive (RFC 5280, 4.1.2.2).
const serialBits = 159

// newSerial returns a random serial number. It is unique among all CAs of a store, because etcd
// compares CRL entries only by serial number.
func newSerial() (*big.Int, error) {
	for {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
		if err != nil || serial.Sign() > 0 {
			return serial, err
		}
	}
}

// SerialString returns a serial number in hexadecimal, as openssl prints it, in lower case.
func SerialString(serial *big.Int) string {
	if serial.Sign() == 0 {
		return "00" // as of the roots that k3s makes
	}
	return hex.EncodeToString(serial.Bytes())
}
