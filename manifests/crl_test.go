package manifests

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki"
)

// A revoked certificate is refused from the next handshake on, on both ports, by every
// release, without a restart; and everybody else is let in as before.
func TestRevokedOnRealEtcd(t *testing.T) {
	t.Parallel()
	for _, release := range []string{etcdtest.V3_5, etcdtest.V3_6, etcdtest.V3_7} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			store := filepath.Join(dir, "store")
			c := start(t, dir, release, "runtime: static-pod", "\n  pki: {crl: true}")
			m := c.Etcd.Members[0]
			client, peer := fmt.Sprintf("%s:%d", m.Advertised(), c.Etcd.ClientPort), fmt.Sprintf("%s:%d", m.Advertised(), c.Etcd.PeerPort)
			auditor := []string{filepath.Join(store, "clients", "auditor", "client")}
			kubernetes := []string{filepath.Join(store, "clients", "kube-apiserver", "client")}
			stolen := []string{filepath.Join(store, "nodes", "etcd-1", "pki", "peer")}
			check := func(when string, auditorIn, stolenIn bool) {
				t.Helper()
				for _, tc := range []struct {
					what, address string
					pair          []string
					in            bool
				}{
					{"auditor", client, auditor, auditorIn},
					{"kube-apiserver", client, kubernetes, true},
					{"etcd-1's peer certificate", peer, stolen, stolenIn},
					{"etcd-2's peer certificate", peer, []string{filepath.Join(store, "nodes", "etcd-2", "pki", "peer")}, true},
				} {
					if err := get(t.Context(), tc.address, tc.pair, tls.VersionTLS13); (err == nil) != tc.in {
						t.Errorf("%s: %s is let in: %v, want %v: %v", when, tc.what, err == nil, tc.in, err)
					}
				}
			}
			check("before", true, true)
			revoke(t, c, store, "auditor")
			check("after the client's revocation", false, true)
			revoke(t, c, store, "etcd-1/peer")
			check("after the peer's revocation", false, false)

			// Why members get DER: the same list in PEM, which 3.5 reads, locks everybody out later.
			der, err := os.ReadFile(filepath.Join(store, "nodes", m.Name, "pki", "client.crl"))
			if err != nil {
				t.Fatal(err)
			}
			asPEM := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
			if err := os.WriteFile(filepath.Join(c.Etcd.PKIDir(m), "client.crl"), asPEM, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := get(t.Context(), client, kubernetes, tls.VersionTLS13); (err == nil) != (release == etcdtest.V3_5) {
				t.Errorf("with a PEM list kube-apiserver is let in: %v", err == nil)
			}
		})
	}
}

func revoke(t *testing.T, c *cluster.Cluster, dir, which string) {
	t.Helper()
	store, err := pki.OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	entries, err := store.PlanRevocation(pki.NewPlan(c), pki.Revocation{Which: which, Reason: "keyCompromise", Current: true}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Revoke(entries); err != nil {
		t.Fatal(err)
	}
	work, err := store.Survey(t.Context(), pki.NewPlan(c), time.Now(), pki.Renewal{ListsOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Issue(t.Context(), work, c.YAML, pki.IssueConfig{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	der, err := os.ReadFile(filepath.Join(dir, "nodes", "etcd-0", "pki", "client.crl"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := x509.ParseRevocationList(der); err != nil || len(list.RevokedCertificateEntries) == 0 || list.RevokedCertificateEntries[0].ReasonCode != 1 {
		t.Errorf("client.crl: %+v %v", list, err)
	}
}
