package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"time"
)

// backdate is how long before now a certificate becomes valid, so that it works on a node whose
// clock is a little behind.
const backdate = 5 * time.Minute

// ca is an authority with its certificate and, if this process has it, its key.
type ca struct {
	Authority
	cert *x509.Certificate
	key  crypto.Signer // nil when the key is kept elsewhere
	// also are other CAs that those who trust this one trust too.
	also []*x509.Certificate
	// keyKept means that the key existed before this run, in any form.
	keyKept bool
}

// trust returns the CAs of a trusted CA file.
func (c *ca) trust() []*x509.Certificate { return append([]*x509.Certificate{c.cert}, c.also...) }

func (c *ca) publicKey() crypto.PublicKey {
	if c.key != nil {
		return c.key.Public()
	}
	return c.cert.PublicKey
}

// certifyCA makes and verifies an authority's certificate. For a root, signer is the authority
// itself. An authority that already had a certificate keeps its subject and key ID, by which the
// certificates that it signed refer to it. It uses crypto/x509 and not cfssl, whose CAs have no path
// length and no name constraints.
func certifyCA(clusterName string, self, signer *ca, now time.Time) (*x509.Certificate, error) {
	a, pub := self.Authority, self.publicKey()
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: caCommonName(clusterName, a.Name, pub)},
		NotBefore:             now.Add(-backdate).UTC(),
		NotAfter:              now.Add(a.Lifetime).UTC(),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLen:            a.pathLen,
		MaxPathLenZero:        a.pathLen == 0,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           a.EKUs,
	}
	a.constraints.apply(template)
	if self.cert != nil && samePublicKey(self.cert.PublicKey, pub) {
		template.RawSubject, template.SubjectKeyId = self.cert.RawSubject, self.cert.SubjectKeyId
	}
	var issuer *x509.Certificate // nil for a root
	parent := template
	if a.Issuer != "" {
		issuer, parent = signer.cert, signer.cert
		template.NotAfter = minTime(template.NotAfter, parent.NotAfter)
		template.NotBefore = maxTime(template.NotBefore, parent.NotBefore)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, signer.key)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", a.Name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", a.Name, err)
	}
	if err := verifyCA(a, cert, issuer, pub, now); err != nil {
		return nil, fmt.Errorf("verifying %s before its release: %w", a.Name, err)
	}
	return cert, nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// caCommonName returns a CN that is different for every key. Two CAs with the same name, as after a
// rotation, would confuse every verifier that finds issuers by name.
func caCommonName(clusterName, authority string, pub crypto.PublicKey) string {
	const most = 64 // ub-common-name, RFC 5280
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return authority // unreachable for keys of generateKey
	}
	sum := sha256.Sum256(der)
	suffix := " " + authority + " " + hex.EncodeToString(sum[:4])
	return clusterName[:min(len(clusterName), most-len(suffix))] + suffix
}
