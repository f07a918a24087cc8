package cfsslca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"testing"

	"github.com/etcdsec/etcdsec/pki/internal/leafcert"
)

// The two ways of signing give the same certificate for the same key and serial number,
// byte for byte, but for the signature and the subject key ID: cfssl derives that with
// SHA-1, crypto/x509 with SHA-256, and both are free to (RFC 5280, 4.2.1.2).
func TestBothBackendsGiveTheSameCertificate(t *testing.T) {
	keys := map[string]func() (crypto.Signer, error){
		"ecdsa-p256": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
		"ecdsa-p384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
		"rsa-3072":   func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) },
		"ed25519": func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		},
	}
	leaves := map[string]func(*leafcert.Request){
		"server": func(*leafcert.Request) {},
		"peer": func(r *leafcert.Request) {
			r.EKUs = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		},
		"client": func(r *leafcert.Request) {
			r.IPs, r.DNS, r.EKUs = nil, nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		},
		"names only":     func(r *leafcert.Request) { r.IPs = nil },
		"addresses only": func(r *leafcert.Request) { r.DNS = nil },
	}
	for keyName, newKey := range keys {
		for leafName, change := range leaves {
			t.Run(keyName+"/"+leafName, func(t *testing.T) {
				t.Parallel()
				key, err := newKey()
				if err != nil {
					t.Fatal(err)
				}
				r := sound(t).Request
				change(&r)
				caCert, caKey := newCA(t)
				cfssl, err := New(caCert, caKey)
				if err != nil {
					t.Fatal(err)
				}
				byCfssl, err := cfssl.Sign(r, newCSR(t, &x509.CertificateRequest{}, key))
				if err != nil {
					t.Fatal(err)
				}
				byStd, err := leafcert.Signer{CA: caCert, Key: caKey}.Sign(r, key.Public())
				if err != nil {
					t.Fatal(err)
				}
				if a, b := withoutSKID(t, byCfssl), withoutSKID(t, byStd); !bytes.Equal(a, b) {
					t.Errorf("cfssl    %x\nstandard %x", a, b)
				}
			})
		}
	}
}

// withoutSKID is what a CA signs, with the subject key ID's value cut out.
func withoutSKID(t *testing.T, cert *x509.Certificate) []byte {
	t.Helper()
	var tbs struct {
		Raw        asn1.RawContent
		Version    int `asn1:"optional,explicit,default:0,tag:0"`
		Serial     asn1.RawValue
		Algorithm  asn1.RawValue
		Issuer     asn1.RawValue
		Validity   asn1.RawValue
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Extensions asn1.RawValue `asn1:"explicit,tag:3"`
	}
	if _, err := asn1.Unmarshal(cert.RawTBSCertificate, &tbs); err != nil {
		t.Fatal(err)
	}
	fixed := slices.Concat(tbs.Serial.FullBytes, tbs.Algorithm.FullBytes, tbs.Issuer.FullBytes,
		tbs.Validity.FullBytes, tbs.Subject.FullBytes, tbs.PublicKey.FullBytes)
	found := false
	for _, e := range cert.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 14}) {
			found, e.Value = true, nil
		}
		encoded, err := asn1.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		fixed = append(fixed, encoded...)
	}
	if !found {
		t.Error("no subject key ID")
	}
	return fixed
}
