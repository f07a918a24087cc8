package throwaway

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"testing"
	"time"
)

func newTestCA(t *testing.T, config Config) *CA {
	t.Helper()
	if config.NotAfter.IsZero() {
		config.NotBefore = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		config.NotAfter = config.NotBefore.Add(24 * time.Hour)
	}
	ca, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestLeaf(t *testing.T) {
	ca := newTestCA(t, Config{CommonName: "test"})
	noon := ca.Certificate().NotBefore.Add(12 * time.Hour)
	leaf, err := ca.Leaf(Leaf{
		CommonName: "leaf", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"a.example"},
		EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(name string, at time.Time, eku x509.ExtKeyUsage) error {
		_, err := leaf.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: ca.Pool(), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{eku}})
		return err
	}
	for _, name := range []string{"127.0.0.1", "a.example"} {
		if err := verify(name, noon, x509.ExtKeyUsageServerAuth); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verify("b.example", noon, x509.ExtKeyUsageServerAuth) == nil {
		t.Error("another name verifies")
	}
	if verify("a.example", noon, x509.ExtKeyUsageClientAuth) == nil {
		t.Error("another EKU verifies")
	}
	if verify("a.example", noon.Add(24*time.Hour), x509.ExtKeyUsageServerAuth) == nil {
		t.Error("it verifies after its end, which is its CA's")
	}
}

// Two CAs of one name are two CAs: that is what the auditor shows servers.
func TestOfTheSameName(t *testing.T) {
	genuine := newTestCA(t, Config{CommonName: "etcd-ca"})
	forged := newTestCA(t, Config{CommonName: "ignored", RawSubject: genuine.Certificate().RawSubject})
	if !bytes.Equal(forged.Certificate().RawSubject, genuine.Certificate().RawSubject) {
		t.Fatalf("the name is %s", forged.Certificate().Subject)
	}
	leaf, err := forged.Leaf(Leaf{CommonName: "leaf"})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(leaf.Leaf.RawIssuer, genuine.Certificate().RawSubject) {
		t.Errorf("the issuer is %s", leaf.Leaf.Issuer)
	}
	options := x509.VerifyOptions{Roots: genuine.Pool(), CurrentTime: leaf.Leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := leaf.Leaf.Verify(options); err == nil {
		t.Error("the forged leaf verifies against the real CA")
	}
}

// A chain of a root, a CA that may sign servers only and a leaf of a given key verifies for
// servers only, and is of that key.
func TestIssuing(t *testing.T) {
	root := newTestCA(t, Config{CommonName: "root"})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	begin := root.Certificate().NotBefore
	issuing, err := root.Issuing(Config{
		CommonName: "issuing", NotBefore: begin, NotAfter: begin.Add(time.Hour), EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := issuing.Leaf(Leaf{
		CommonName: "leaf", Key: key, EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(leaf.Leaf.PublicKey) || leaf.PrivateKey != key {
		t.Error("the leaf is not of the given key")
	}
	above := x509.NewCertPool()
	above.AddCert(issuing.Certificate())
	for eku, verifies := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageServerAuth: true, x509.ExtKeyUsageClientAuth: false} {
		_, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: root.Pool(), Intermediates: above, CurrentTime: begin, KeyUsages: []x509.ExtKeyUsage{eku}})
		if (err == nil) != verifies {
			t.Errorf("EKU %v: %v", eku, err)
		}
	}
}

func TestFaults(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for name, config := range map[string]Config{
		"no times":        {CommonName: "x"},
		"ends before":     {CommonName: "x", NotBefore: now, NotAfter: now.Add(-time.Hour)},
		"broken name DER": {RawSubject: []byte("not DER"), NotBefore: now, NotAfter: now.Add(time.Hour)},
	} {
		if _, err := New(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The name of a real server's CA is foreign bytes: it makes a CA or an error, never a panic.
func FuzzThrowawayName(f *testing.F) {
	for _, name := range []pkix.Name{{}, {CommonName: "etcd-ca"}, {Organization: []string{"a", "b"}, Country: []string{"DE"}}} {
		der, err := asn1.Marshal(name.ToRDNSequence())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, rawSubject []byte) {
		ca, err := New(Config{RawSubject: rawSubject, NotBefore: now, NotAfter: now.Add(time.Hour)})
		if err != nil || len(rawSubject) == 0 {
			return
		}
		if !bytes.Equal(ca.Certificate().RawSubject, rawSubject) {
			t.Errorf("%x became %x", rawSubject, ca.Certificate().RawSubject)
		}
	})
}
