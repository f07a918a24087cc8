// Package leafcert checks the content of a leaf for every signer. It also signs leaves with only
// crypto/x509: under FIPS, where cfssl 1.6.5 panics, and for a public key whose private key stays on
// its node.
package leafcert

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// Request has the content of a leaf except its key.
type Request struct {
	Serial     *big.Int
	CommonName string
	IPs        []netip.Addr
	DNS        []string
	URIs       []string
	Emails     []string
	EKUs       []x509.ExtKeyUsage
	NotBefore  time.Time
	NotAfter   time.Time
}

// Hosts returns all names as the one list that cfssl takes, and never nil: cfssl then takes those of
// the CSR.
func (r Request) Hosts() []string {
	hosts := make([]string, 0, len(r.IPs)+len(r.DNS))
	for _, ip := range r.IPs {
		hosts = append(hosts, ip.String())
	}
	return slices.Concat(hosts, r.DNS, r.URIs, r.Emails)
}

// Check refuses the request for a certificate that no etcd cluster needs, before a signer changes
// or ignores parts of it.
func (r Request) Check(ca *x509.Certificate) error {
	server := slices.Contains(r.EKUs, x509.ExtKeyUsageServerAuth)
	for _, eku := range r.EKUs {
		if eku != x509.ExtKeyUsageServerAuth && eku != x509.ExtKeyUsageClientAuth {
			return fmt.Errorf("no leaf of etcd has the extended key usage %d", eku)
		}
	}
	switch {
	case len(r.EKUs) == 0:
		return errors.New("a leaf without an extended key usage")
	case r.CommonName == "":
		return errors.New("a leaf without a common name")
	case r.Serial == nil || r.Serial.Sign() <= 0:
		return errors.New("a leaf without a serial number")
	case server && len(r.IPs)+len(r.DNS) == 0: // a client compares no other kind
		return errors.New("a server or peer leaf without a subject alternative name")
	case r.NotBefore.IsZero() || !r.NotBefore.Before(r.NotAfter):
		return fmt.Errorf("not a lifetime: from %s to %s", r.NotBefore.Format(time.RFC3339), r.NotAfter.Format(time.RFC3339))
	case r.NotAfter.After(ca.NotAfter) || r.NotBefore.Before(ca.NotBefore):
		return fmt.Errorf("the lifetime from %s to %s is not within the issuer's, from %s to %s",
			r.NotBefore.Format(time.RFC3339), r.NotAfter.Format(time.RFC3339), ca.NotBefore.Format(time.RFC3339), ca.NotAfter.Format(time.RFC3339))
	}
	for _, ip := range r.IPs {
		if !ip.IsValid() || ip.Zone() != "" || ip.Is4In6() {
			return fmt.Errorf("%q is not an address for a certificate", ip)
		}
	}
	// cfssl guesses what a name is; "10.0.0.1:2379" would become a DNS name.
	for _, dns := range r.DNS {
		if n, err := cluster.ParseName(dns); err != nil || n.DNS != dns {
			return fmt.Errorf("%q is not a DNS name", dns)
		}
	}
	for _, uri := range r.URIs {
		if n, err := cluster.ParseName(uri); err != nil || n.URI != uri {
			return fmt.Errorf("%q is not a URI for a certificate", uri)
		}
	}
	for _, email := range r.Emails {
		if n, err := cluster.ParseName(email); err != nil || n.Email != email {
			return fmt.Errorf("%q is not a mail address", email)
		}
	}
	return nil
}

// Signer signs leaves with one CA and crypto/x509. A signature does not change it, so several
// goroutines may use it if they may use the key.
type Signer struct {
	CA  *x509.Certificate
	Key crypto.Signer
}

// Sign returns the certificate of a public key. The caller verifies it before it is released.
func (s Signer) Sign(r Request, pub crypto.PublicKey) (*x509.Certificate, error) {
	if err := r.Check(s.CA); err != nil {
		return nil, err
	}
	keyID, err := subjectKeyID(pub)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          r.Serial,
		SubjectKeyId:          keyID,
		Subject:               pkix.Name{CommonName: r.CommonName},
		NotBefore:             r.NotBefore.UTC(),
		NotAfter:              r.NotAfter.UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           r.EKUs,
		BasicConstraintsValid: true,
		DNSNames:              r.DNS,
		EmailAddresses:        r.Emails,
	}
	for _, ip := range r.IPs {
		template.IPAddresses = append(template.IPAddresses, net.IP(ip.AsSlice()))
	}
	for _, uri := range r.URIs {
		parsed, err := url.Parse(uri)
		if err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.CA, pub, s.Key)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return x509.ParseCertificate(der)
}

// subjectKeyID computes a key ID by method 1 of RFC 7093: the first 160 bits of the SHA-256 of the public
// key's bits. crypto/x509 gives a leaf none of its own.
func subjectKeyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	var spki struct {
		Algorithm asn1.RawValue
		Bits      asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spki.Bits.RightAlign())
	return sum[:20], nil
}
