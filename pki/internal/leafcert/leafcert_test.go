package leafcert_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/internal/leafcert"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func newSigner(t *testing.T) leafcert.Signer {
	t.Helper()
	key := newKey(t)
	ca, err := throwaway.New(throwaway.Config{CommonName: "issuing", NotBefore: now().Add(-time.Hour), NotAfter: now().Add(48 * time.Hour), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return leafcert.Signer{CA: ca.Certificate(), Key: key}
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sound() leafcert.Request {
	return leafcert.Request{
		Serial: big.NewInt(7), CommonName: "etcd-0",
		IPs: []netip.Addr{netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("fd00::1")}, DNS: []string{"etcd-0.example.internal"},
		EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: now(), NotAfter: now().Add(24 * time.Hour),
	}
}

// Every kind of key that a leaf may have is signed, and crypto/x509 accepts the result for
// the names and uses that were asked for and for no others.
func TestSign(t *testing.T) {
	signer := newSigner(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	factors, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, key := range []crypto.Signer{newKey(t), edwards, factors} {
		t.Run(fmt.Sprintf("%T", key), func(t *testing.T) {
			cert, err := signer.Sign(sound(), key.Public())
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(signer.CA)
			verify := func(name string, use x509.ExtKeyUsage) error {
				_, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{use}})
				return err
			}
			for _, name := range []string{"10.0.0.11", "fd00::1", "etcd-0.example.internal"} {
				if err := verify(name, x509.ExtKeyUsageServerAuth); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if verify("10.0.0.12", x509.ExtKeyUsageServerAuth) == nil || verify("", x509.ExtKeyUsageClientAuth) == nil {
				t.Error("accepted for another name or use")
			}
			if cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage != x509.KeyUsageDigitalSignature || cert.Subject.String() != "CN=etcd-0" || cert.SerialNumber.Int64() != 7 {
				t.Errorf("CA %v, usage %v, subject %s, serial %v", cert.IsCA, cert.KeyUsage, cert.Subject, cert.SerialNumber)
			}
			if !cert.NotBefore.Equal(now()) || !cert.NotAfter.Equal(now().Add(24*time.Hour)) {
				t.Errorf("lifetime %v to %v", cert.NotBefore, cert.NotAfter)
			}
			if !slices.Equal(cert.AuthorityKeyId, signer.CA.SubjectKeyId) || len(cert.SubjectKeyId) != 20 || ids[string(cert.SubjectKeyId)] {
				t.Errorf("key IDs %x and %x", cert.SubjectKeyId, cert.AuthorityKeyId)
			}
			ids[string(cert.SubjectKeyId)] = true
			again, err := signer.Sign(sound(), key.Public())
			if err != nil || !slices.Equal(again.SubjectKeyId, cert.SubjectKeyId) {
				t.Errorf("the same key has another ID: %v", err)
			}
		})
	}
}

// A client needs no name but its common name, and a leaf may end with its issuer.
func TestSignAtTheBounds(t *testing.T) {
	signer := newSigner(t)
	r := sound()
	r.EKUs, r.IPs, r.DNS = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, nil, nil
	r.NotBefore, r.NotAfter = signer.CA.NotBefore, signer.CA.NotAfter
	cert, err := signer.Sign(r, newKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.DNSNames)+len(cert.IPAddresses) != 0 {
		t.Errorf("names %v %v", cert.DNSNames, cert.IPAddresses)
	}
}

func TestRefused(t *testing.T) {
	signer := newSigner(t)
	addr := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	for name, c := range map[string]struct {
		change func(*leafcert.Request)
		want   string
	}{
		"a use that etcd has not":       {func(r *leafcert.Request) { r.EKUs = append(r.EKUs, x509.ExtKeyUsageAny) }, "no leaf of etcd"},
		"no use":                        {func(r *leafcert.Request) { r.EKUs = nil }, "without an extended key usage"},
		"no common name":                {func(r *leafcert.Request) { r.CommonName = "" }, "without a common name"},
		"no serial number":              {func(r *leafcert.Request) { r.Serial = nil }, "without a serial number"},
		"a serial number of zero":       {func(r *leafcert.Request) { r.Serial = new(big.Int) }, "without a serial number"},
		"a negative serial number":      {func(r *leafcert.Request) { r.Serial = big.NewInt(-1) }, "without a serial number"},
		"a server without a name":       {func(r *leafcert.Request) { r.IPs, r.DNS = nil, nil }, "without a subject alternative name"},
		"a peer without a name":         {func(r *leafcert.Request) { r.EKUs, r.IPs, r.DNS = append(r.EKUs, x509.ExtKeyUsageClientAuth), nil, nil }, "without a subject alternative name"},
		"no beginning":                  {func(r *leafcert.Request) { r.NotBefore = time.Time{} }, "not a lifetime"},
		"no lifetime":                   {func(r *leafcert.Request) { r.NotAfter = r.NotBefore }, "not a lifetime"},
		"an end before the beginning":   {func(r *leafcert.Request) { r.NotAfter = r.NotBefore.Add(-time.Second) }, "not a lifetime"},
		"an end after the issuer's":     {func(r *leafcert.Request) { r.NotAfter = now().Add(48*time.Hour + time.Second) }, "not within the issuer's"},
		"a beginning before the issuer": {func(r *leafcert.Request) { r.NotBefore = now().Add(-time.Hour - time.Second) }, "not within the issuer's"},
		"no address":                    {func(r *leafcert.Request) { r.IPs = []netip.Addr{{}} }, "not an address"},
		"an address with a zone":        {func(r *leafcert.Request) { r.IPs = addr("fe80::1%eth0") }, "not an address"},
		"IPv4 as IPv6":                  {func(r *leafcert.Request) { r.IPs = addr("::ffff:10.0.0.1") }, "not an address"},
		"a port":                        {func(r *leafcert.Request) { r.DNS = []string{"etcd-0:2379"} }, "not a DNS name"},
		"an address as a name":          {func(r *leafcert.Request) { r.DNS = []string{"10.0.0.1"} }, "not a DNS name"},
		"an empty name":                 {func(r *leafcert.Request) { r.DNS = []string{""} }, "not a DNS name"},
		"a URI":                         {func(r *leafcert.Request) { r.DNS = []string{"https://etcd-0"} }, "not a DNS name"},
	} {
		t.Run(name, func(t *testing.T) {
			r := sound()
			c.change(&r)
			cert, err := signer.Sign(r, newKey(t).Public())
			if cert != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want %q", cert, err, c.want)
			}
		})
	}
	if _, err := signer.Sign(sound(), "no key"); err == nil {
		t.Error("signed what is no key")
	}
}
