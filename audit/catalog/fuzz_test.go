package catalog_test

import (
	"bytes"
	"crypto/x509"
	"net"
	"testing"
	"unicode"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// A certificate and a CA name are what a server makes them. Whatever crypto/x509 parses is
// judged: by no panic, the same each time, in text that a terminal can show.
func FuzzServedCertificate(f *testing.F) {
	root, err := throwaway.New(throwaway.Config{CommonName: "fixture", NotBefore: fixtureTime.Add(-day), NotAfter: fixtureTime.Add(day)})
	if err != nil {
		f.Fatal(err)
	}
	seeds := 0
	for _, template := range []throwaway.Leaf{
		{CommonName: "etcd-0", IPs: []net.IP{net.IPv4(192, 0, 2, 1)}, EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
		{DNSNames: []string{"etcd-0.example.internal", "*.example.internal", ""}, IsCA: true, KeyUsage: x509.KeyUsageCertSign},
		{CommonName: "a\x1b[31mb\x00c", EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}},
	} {
		leaf, err := root.Leaf(template)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(leaf.Certificate[0], root.Certificate().Raw, root.Certificate().RawSubject)
		seeds++
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, leafDER, issuerDER, caName []byte) {
		leaf, err := x509.ParseCertificate(leafDER)
		if err != nil {
			return
		}
		served := []*x509.Certificate{leaf}
		if issuer, err := x509.ParseCertificate(issuerDER); err == nil {
			served = append(served, issuer)
		}
		var listeners []*audit.Listener
		for _, kind := range []audit.Kind{audit.Client, audit.Peer, audit.APIServer} {
			target := trusting(port(kind, "192.0.2.1:2379"), caName, bytes.Clone(leaf.RawIssuer))
			target.Handshakes[0].Chain, target.Roots = served, root.Pool()
			listeners = append(listeners, target)
		}
		targets := append(audit.Targets(listeners), besides(listeners...))
		report, again := audit.Run(catalog.All(), targets), audit.Run(catalog.All(), targets)
		for i, r := range report.Results {
			if r.Evidence != again.Results[i].Evidence || r.Fingerprint != again.Results[i].Fingerprint {
				t.Errorf("%s: %q, then %q", r.CheckID, r.Evidence, again.Results[i].Evidence)
			}
			if len(r.Evidence) > 20_000 {
				t.Errorf("%s: %d bytes of evidence", r.CheckID, len(r.Evidence))
			}
			for _, c := range r.Evidence {
				if !unicode.IsPrint(c) {
					t.Errorf("%s: %q cannot be shown", r.CheckID, r.Evidence)
					break
				}
			}
		}
	})
}
