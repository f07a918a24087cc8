package cfsslca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/internal/leafcert"
)

func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCA(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: now().Add(-time.Hour), NotAfter: now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return ca, key
}

func newSigner(t testing.TB) *Signer {
	t.Helper()
	signer, err := New(newCA(t))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func newCSR(t testing.TB, template *x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// request is a leaf and the CSR that proves its key.
type request struct {
	leafcert.Request
	CSR []byte
}

// sound is a request that is signed; each hazard changes one thing about it.
func sound(t testing.TB) request {
	t.Helper()
	return request{
		CSR: newCSR(t, &x509.CertificateRequest{}, newKey(t)),
		Request: leafcert.Request{
			Serial: big.NewInt(7), CommonName: "etcd-0",
			IPs: []netip.Addr{netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("fd00::1")}, DNS: []string{"etcd-0.example.internal"},
			EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: now(), NotAfter: now().Add(24 * time.Hour),
		},
	}
}

func TestSound(t *testing.T) {
	cert, err := signSound(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.IPAddresses) != 2 || !cert.IPAddresses[0].Equal(net.IPv4(10, 0, 0, 11)) || len(cert.DNSNames) != 1 || len(cert.URIs)+len(cert.EmailAddresses) != 0 {
		t.Errorf("names: %v %v %v %v", cert.IPAddresses, cert.DNSNames, cert.URIs, cert.EmailAddresses)
	}
	if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("usages: CA %v, %v, %v", cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage)
	}
	if !cert.NotBefore.Equal(now()) || !cert.NotAfter.Equal(now().Add(24*time.Hour)) || cert.SerialNumber.Int64() != 7 {
		t.Errorf("lifetime %v to %v, serial %v", cert.NotBefore, cert.NotAfter, cert.SerialNumber)
	}
}

// Hazard: a profile name that cfssl does not know silently becomes the default profile.
func TestEveryProfileIsInThePolicy(t *testing.T) {
	for _, ekus := range [][]x509.ExtKeyUsage{
		{x509.ExtKeyUsageServerAuth}, {x509.ExtKeyUsageClientAuth}, {x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	} {
		name, err := profileFor(ekus)
		if err != nil || policy().Profiles[name] == nil {
			t.Errorf("%v: profile %q, %v", ekus, name, err)
		}
	}
}

func TestHazards(t *testing.T) {
	cases := map[string]struct {
		change func(*request)
		want   string
	}{
		"unknown profile":          {func(r *request) { r.EKUs = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, "no profile for"},
		"no profile":               {func(r *request) { r.EKUs = nil }, "no profile without"},
		"lifetime past the CA's":   {func(r *request) { r.NotAfter = now().Add(8736 * time.Hour) }, "not within the issuer's"},
		"lifetime before the CA's": {func(r *request) { r.NotBefore = now().Add(-2 * time.Hour) }, "not within the issuer's"},
		"no lifetime":              {func(r *request) { r.NotAfter = r.NotBefore }, "not a lifetime"},
		"backdating left to cfssl": {func(r *request) { r.NotBefore = time.Time{} }, "not a lifetime"},
		"no names":                 {func(r *request) { r.IPs, r.DNS = nil, nil }, "without a subject alternative name"},
		"host with a port":         {func(r *request) { r.DNS = []string{"10.0.0.1:2379"} }, "is not a DNS name"},
		"host with white space":    {func(r *request) { r.DNS = []string{" node1 "} }, "is not a DNS name"},
		"network":                  {func(r *request) { r.DNS = []string{"10.0.0.0/24"} }, "is not a DNS name"},
		"wildcard":                 {func(r *request) { r.DNS = []string{"bad_host*name"} }, "is not a DNS name"},
		"URL":                      {func(r *request) { r.DNS = []string{"https://node1"} }, "is not a DNS name"},
		"mail address":             {func(r *request) { r.DNS = []string{"root@node1"} }, "is not a DNS name"},
		"address as a name":        {func(r *request) { r.DNS = []string{"10.0.0.1"} }, "is not a DNS name"},
		"no address":               {func(r *request) { r.IPs = []netip.Addr{{}} }, "not an address for a certificate"},
		"no subject":               {func(r *request) { r.CommonName = "" }, "without a common name"},
		"no serial":                {func(r *request) { r.Serial = nil }, "without a serial number"},
		"damaged CSR":              {func(r *request) { r.CSR = r.CSR[:len(r.CSR)-1] }, "signing:"},
		"CSR of another key":       {func(r *request) { r.CSR[len(r.CSR)-1] ^= 1 }, "signing:"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := sound(t)
			tc.change(&r)
			cert, err := newSigner(t).Sign(r.Request, r.CSR)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("signed %v, error %v, want %q", cert != nil, err, tc.want)
			}
		})
	}
}

// Hazards: without a whitelist the CSR's subject is taken; with copy_extensions its key
// usages are. Nothing of a CSR but its key may show in the certificate.
func TestOnlyTheKeyIsTakenFromTheCSR(t *testing.T) {
	key := newKey(t)
	ca, err := asn1.Marshal(struct {
		IsCA    bool
		PathLen int
	}{true, 3})
	if err != nil {
		t.Fatal(err)
	}
	eku, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 2}})
	if err != nil {
		t.Fatal(err)
	}
	keyUsage := []byte{0x03, 0x02, 0x01, 0x06} // keyCertSign | cRLSign
	hostile := x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: "root", Organization: []string{"system:masters"}},
		DNSNames:    []string{"evil.example"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: eku},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: keyUsage},
			{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte("x")},
		},
	}
	signer := newSigner(t)
	for _, withCA := range []bool{false, true} {
		csr := hostile
		if withCA {
			csr.ExtraExtensions = append(csr.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: ca})
		}
		r := sound(t)
		r.CSR = newCSR(t, &csr, key)
		cert, err := signer.Sign(r.Request, r.CSR)
		if err != nil {
			continue // refusing a CSR that asks to be a CA is as good
		}
		if cert.Subject.String() != "CN=etcd-0" || cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature ||
			len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth || len(cert.DNSNames) != 1 || len(cert.IPAddresses) != 2 {
			t.Errorf("subject %s, CA %v, usage %v %v, names %v %v", cert.Subject, cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage, cert.DNSNames, cert.IPAddresses)
		}
		for _, extension := range cert.Extensions {
			if extension.Id.Equal(asn1.ObjectIdentifier{1, 2, 3, 4}) {
				t.Error("a foreign extension of the CSR was copied")
			}
		}
		if !key.PublicKey.Equal(cert.PublicKey) {
			t.Error("not the CSR's key")
		}
	}
}

// A client leaf has no names, and none of the CSR's.
func TestClientWithoutNames(t *testing.T) {
	r := sound(t)
	r.CSR = newCSR(t, &x509.CertificateRequest{DNSNames: []string{"evil.example"}}, newKey(t))
	r.IPs, r.DNS, r.EKUs = nil, nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cert, err := newSigner(t).Sign(r.Request, r.CSR)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.DNSNames)+len(cert.IPAddresses) != 0 {
		t.Errorf("names: %v %v", cert.DNSNames, cert.IPAddresses)
	}
}

// Hazard: cfssl's global logger prints a line for every signature, through package log.
func TestSilent(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	if _, err := signSound(t); err != nil {
		t.Fatal(err)
	}
	if printed.Len() > 0 {
		t.Errorf("cfssl printed %q", printed.String())
	}
}

// Hazard: cfssl computes subject key IDs with SHA-1 and panics under fips140=only. The
// mode is read when a process starts, so the test starts itself again under it.
func TestFIPSOnlyIsRefused(t *testing.T) {
	if os.Getenv("CFSSLCA_TEST_FIPS") != "" {
		_, err := New(nil, newKey(t))
		if err == nil || !strings.Contains(err.Error(), "fips140=on") {
			t.Fatalf("got %v", err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestFIPSOnlyIsRefused$", "-test.v")
	cmd.Env = append(os.Environ(), "CFSSLCA_TEST_FIPS=1", "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestFIPSOnlyIsRefused") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Hazard: CFSSL_CA_PK_PASSWORD. No key is loaded by cfssl, so the variable is never read.
func TestPasswordVariableIsIgnored(t *testing.T) {
	t.Setenv("CFSSL_CA_PK_PASSWORD", "wrong")
	if _, err := signSound(t); err != nil {
		t.Error(err)
	}
}

func signSound(t testing.TB) (*x509.Certificate, error) {
	t.Helper()
	r := sound(t)
	return newSigner(t).Sign(r.Request, r.CSR)
}
