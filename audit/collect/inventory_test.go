package collect_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// What is listed of a real member is what it was started with.
func TestInventory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, etcdtest.V3_6, append(s.clientMTLS(), s.peerMTLS()...))
	listeners := runAudit(t, s.endpoints(0), s.credentials()).Inventory.Listeners
	if len(listeners) != 3 {
		t.Fatalf("%+v", listeners)
	}
	for i, want := range []struct {
		target  string
		kind    audit.Kind
		accepts string
	}{{s.client, audit.Client, "CN=clients"}, {s.peer, audit.Peer, "CN=peers"}} {
		l := listeners[i]
		if l.Target != want.target || l.Kind != want.kind || !l.TLS || l.Plaintext || !l.RequestsCertificate || !slices.Equal(l.AcceptedCAs, []string{want.accepts}) {
			t.Errorf("%+v", l)
		}
		if len(l.Certificates) == 0 {
			t.Fatalf("%s: no certificates", l.Target)
		}
		leaf := l.Certificates[0]
		if leaf.Subject != "CN=m0" || leaf.Issuer != want.accepts || leaf.CA || leaf.Key != "ECDSA P-256" || !slices.Contains(leaf.SANs, "127.0.0.1") || !leaf.NotAfter.After(s.now) {
			t.Errorf("%+v", leaf)
		}
	}
	if metrics := listeners[2]; metrics.Kind != audit.Metrics || !metrics.Plaintext || metrics.TLS || len(metrics.Certificates) > 0 {
		t.Errorf("%+v", metrics)
	}
	given, err := x509.ParseCertificate(s.given.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(given.Raw)
	for _, l := range listeners {
		for _, cert := range l.Certificates {
			if cert.SHA256 == hex.EncodeToString(sum[:]) {
				t.Error("the auditor's own certificate is listed")
			}
		}
	}
}
