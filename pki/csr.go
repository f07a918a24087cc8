package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/goodkey"
)

// NewKey makes a private key and its PEM.
func NewKey(algorithm cluster.KeyAlgorithm) (crypto.Signer, []byte, error) {
	key, err := generateKey(algorithm)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err := encodeKey(key)
	return key, keyPEM, err
}

// NewRequest returns a CSR in PEM. It has the key, the proof of its possession, and the leaf's CN as
// a hint for the people who handle the file. Nothing else in it would be used.
func NewRequest(l Leaf, key crypto.Signer) ([]byte, error) {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: l.CommonName}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("requesting %s: %w", l.Name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// ParseRequest reads one CSR in PEM and checks its key, and its signature, which proves that its maker
// has the key.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	blocks, err := parsePEM(data, "req")
	if err != nil {
		return nil, err
	}
	block := blocks[0]
	switch {
	case block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST":
		return nil, fmt.Errorf("a PEM block of type %q, want a certificate request", block.Type)
	case len(blocks) > 1:
		return nil, fmt.Errorf("it has %d PEM blocks, want one certificate request", len(blocks))
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	// The key first: to verify a signature with a huge one takes long.
	if err := goodkey.CheckEncoded(csr.PublicKey, csr.RawSubjectPublicKeyInfo); err != nil {
		return nil, err
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("its signature does not prove the key: %w", err)
	}
	return csr, nil
}

// CheckRequest refuses a CSR that asks for more than the plan gives the leaf. The certificate's
// content comes only from the plan. But a request with other content was made for something else, or
// by somebody else.
func CheckRequest(l Leaf, csr *x509.CertificateRequest) error {
	var faults []error
	for _, attribute := range csr.Subject.Names {
		if !attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) || attribute.Value != l.CommonName && (l.plannedCN == "" || attribute.Value != l.plannedCN) {
			faults = append(faults, fmt.Errorf("it asks for the subject %q, but %s has CN=%s", csr.Subject, l.Name, l.CommonName))
			break
		}
	}
	asked, other := namesOf(&x509.Certificate{IPAddresses: csr.IPAddresses, DNSNames: csr.DNSNames, EmailAddresses: csr.EmailAddresses, URIs: csr.URIs, Extensions: csr.Extensions})
	more := asked.without(l.Names)
	for _, name := range (Names{IPs: more.IPs, DNS: more.DNS}).Strings() {
		faults = append(faults, fmt.Errorf("it asks for the name %s, which is not one of %s: %q", name, l.Name, l.Names.Strings()))
	}
	if len(more.URIs)+len(more.Emails) > 0 {
		faults = append(faults, fmt.Errorf("it asks for a URI or a mail address, %q, that is not one of %s: %q", append(more.URIs, more.Emails...), l.Name, l.Names.Strings()))
	}
	for _, kind := range other {
		faults = append(faults, fmt.Errorf("it asks for a name of kind %s, which no leaf of etcd has", kind))
	}
	for _, extension := range csr.Extensions {
		switch extension.Id.String() {
		case "2.5.29.17": // SANs, checked above
		case "2.5.29.19":
			var constraints struct {
				IsCA       bool `asn1:"optional"`
				MaxPathLen int  `asn1:"optional,default:-1"`
			}
			if rest, err := asn1.Unmarshal(extension.Value, &constraints); err != nil || len(rest) > 0 || constraints.IsCA {
				faults = append(faults, errors.New("it asks to be a CA"))
			}
		case "2.5.29.15":
			faults = append(faults, checkUsages(extension.Value)...)
		case "2.5.29.37":
			faults = append(faults, checkExtendedUsages(l, extension.Value)...)
		case "2.5.29.14": // the ID of its key, which is computed from the key
		default:
			faults = append(faults, fmt.Errorf("it asks for the extension %s, which no leaf of etcd has", extension.Id))
		}
	}
	faults = append(faults, checkAttributes(csr)...)
	return errors.Join(append(faults, goodkey.CheckEncoded(csr.PublicKey, csr.RawSubjectPublicKeyInfo))...)
}

// checkReuse refuses a key that belongs or belonged to another certificate, or that was stolen.
func checkReuse(l Leaf, csr *x509.CertificateRequest, entries []Entry, record revocationRecord) error {
	if err := record.checkKey(csr.PublicKey); err != nil {
		return err
	}
	hash := publicKeyHash(csr.PublicKey, csr.RawSubjectPublicKeyInfo)
	for _, e := range entries {
		if e.KeyHash == hash && e.holder() != holderOf(l) {
			return fmt.Errorf("%s already has its key; each certificate needs its own key", e.Name)
		}
	}
	return nil
}
