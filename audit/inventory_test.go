package audit_test

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

// selfSigned is a certificate with many names, of Ed25519.
func selfSigned(t *testing.T) *x509.Certificate {
	t.Helper()
	seed := sha256.Sum256([]byte("seed"))
	key := ed25519.NewKeyFromSeed(seed[:])
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xbeef), Subject: pkix.Name{CommonName: "etcd-0", Organization: []string{"a,b"}},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses: []net.IP{net.IPv4(10, 0, 0, 11)}, SubjectKeyId: []byte{1, 2}, BasicConstraintsValid: true, IsCA: true,
	}
	for i := range 40 {
		template.DNSNames = append(template.DNSNames, fmt.Sprintf("etcd-%d.example.internal", i))
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestInventory(t *testing.T) {
	cert := selfSigned(t)
	other := &x509.Certificate{SerialNumber: big.NewInt(1), PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}}
	empty, err := asn1.Marshal(pkix.RDNSequence{})
	if err != nil {
		t.Fatal(err)
	}
	inventory := audit.TakeInventory([]audit.Target{
		&audit.Listener{Address: "10.0.0.11:2379", Kind: audit.Client, ClusterID: 0xab, Version: "3.6.16", Handshakes: []audit.Handshake{
			{Presented: audit.NoCertificate, SpokeTLS: true, CertificateRequested: true, AcceptableCAs: [][]byte{cert.RawSubject, empty, []byte("garbage")}},
			{Presented: audit.GivenCertificate, SpokeTLS: true, Chain: []*x509.Certificate{cert, other}},
			{Presented: audit.NoCertificate, SpokeTLS: true, Chain: []*x509.Certificate{cert, other}},
			{Presented: audit.NoCertificate, SpokeTLS: true, Chain: []*x509.Certificate{other}},
		}},
		&audit.Listener{Address: "10.0.0.11:2381", Kind: audit.Metrics, Plaintext: audit.Page{Attempt: audit.Attempt{State: audit.Answered}}},
		&audit.Listener{Address: "10.0.0.12:2379", Kind: audit.Client},
		&audit.EtcdCluster{Address: "cluster ab"},
		&audit.HostSettings{Address: "cp-0:/etc/kubernetes/manifests/etcd.yaml"},
	})
	if len(inventory.Listeners) != 3 {
		t.Fatalf("%+v", inventory)
	}
	first := inventory.Listeners[0]
	if len(first.Certificates) != 2 || len(first.Certificates[0].SANs) != 33 || first.Certificates[0].SANs[32] != "and 9 more" {
		t.Fatalf("%+v", first)
	}
	first.Certificates[0].SANs = nil
	sum, otherSum := sha256.Sum256(cert.Raw), sha256.Sum256(nil)
	want := audit.InventoryListener{
		Target: "10.0.0.11:2379", Kind: audit.Client, Cluster: "cluster ab", Version: "3.6.16", TLS: true, RequestsCertificate: true,
		AcceptedCAs: []string{`CN=etcd-0,O=a\,b`, "the empty name", "not a name: 67617262616765"},
		Certificates: []audit.ServedCertificate{
			{
				Subject: `CN=etcd-0,O=a\,b`, Issuer: `CN=etcd-0,O=a\,b`, Serial: "beef", NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
				SKID: "0102", SHA256: hex.EncodeToString(sum[:]), Key: "Ed25519", CA: true,
			},
			{Position: 1, Subject: "not a name: ", Issuer: "not a name: ", SANs: []string{}, Serial: "1", SHA256: hex.EncodeToString(otherSum[:]), Key: "RSA 2048"},
		},
	}
	alone := want.Certificates[1]
	alone.Position = 0
	want.OtherChains = [][]audit.ServedCertificate{{alone}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	if metrics := inventory.Listeners[1]; !metrics.Plaintext || metrics.TLS || metrics.RequestsCertificate || metrics.Cluster != "cluster ab" {
		t.Errorf("%+v", metrics)
	}
	if silent := inventory.Listeners[2]; silent.Plaintext || silent.TLS || silent.Certificates == nil || silent.AcceptedCAs == nil || silent.Cluster != "" {
		t.Errorf("%+v", silent)
	}
}

// The same targets give the same inventory in the report.
func TestRunTakesInventory(t *testing.T) {
	report := audit.Run(nil, []audit.Target{&audit.Listener{Address: "a:1", Kind: audit.Client}})
	if len(report.Inventory.Listeners) != 1 || audit.Run(nil, nil).Inventory.Listeners == nil {
		t.Errorf("%+v", report.Inventory)
	}
}

// Names of CAs come from whoever runs the port.
func FuzzInventoryNames(f *testing.F) {
	name, err := asn1.Marshal(pkix.Name{CommonName: "etcd-ca", Organization: []string{"a", "b"}}.ToRDNSequence())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{name, nil, {0x30, 0}, []byte("garbage"), name[:len(name)-1], append(name, 0)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		inventory := audit.TakeInventory([]audit.Target{&audit.Listener{Kind: audit.Client, Handshakes: []audit.Handshake{{AcceptableCAs: [][]byte{raw}}}}})
		if names := inventory.Listeners[0].AcceptedCAs; len(names) != 1 || names[0] == "" {
			t.Errorf("%q", names)
		}
	})
}
