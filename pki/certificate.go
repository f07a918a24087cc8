package pki

import (
	"bytes"
	"crypto/rand"
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

// ParseCertificates reads a PEM bundle of one or more certificates. Any other PEM block is an error:
// etcd refuses to start with it. Text between blocks is an error too: it is the sign of a damaged
// file.
func ParseCertificates(certPEM []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	rest := bytes.TrimSpace(certPEM)
	if err := checkPEM(rest, "x509"); err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
			return nil, fmt.Errorf("no PEM certificate at its start, or other text after its %d certificates", len(certs))
		}
		block, after := pem.Decode(rest)
		if block == nil {
			return nil, fmt.Errorf("PEM block %d is cut short or damaged", len(certs)+1)
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") && len(certs) == 0 {
			return nil, errIsKey
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %d is of type %q, want a certificate", len(certs)+1, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
		rest = bytes.TrimSpace(after)
	}
	return certs, nil
}

// errIsKey means that a file holds a private key instead of a certificate.
var errIsKey = errors.New("a private key, want a certificate")

// checkPEM returns an error if data is empty, DER, or begins with a byte order mark. command is the
// openssl command that converts its kind.
func checkPEM(data []byte, command string) error {
	switch {
	case len(data) == 0:
		return errors.New("the file is empty")
	case data[0] == 0x30:
		return fmt.Errorf("it is DER, want PEM: openssl %s -inform DER -in FILE -out FILE.pem", command)
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return errors.New("a byte order mark is before its first PEM block; remove these three bytes")
	}
	return nil
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
	return hex.EncodeToString(serial.Bytes())
}
