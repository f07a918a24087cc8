package collect_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// A key of P-224 is of no use in TLS 1.3, and etcd answers its callers by an alert: for the
// key, and not for what they present. Over TLS 1.2 it lets in whoever it would let in.
func TestKeyWithoutTLS13(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup setup
		want  map[string]string
	}{
		"everybody is let in": {setup{client: "tls"}, map[string]string{
			"client-cert-required": "fail not-requested", "client-foreign-ca": "fail not-requested", "metrics-exposed": "fail client",
			"client-anonymous-read": "fail tls", "grpc-proxy-exposed": "pass", "cert-key-strength": "fail leaf-curve-short",
		}},
		"a certificate is required": {setup{}, map[string]string{
			"client-cert-required": "pass", "client-foreign-ca": "pass", "metrics-exposed": "pass", "cert-key-strength": "fail leaf-curve-short",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			c.setup.version = etcdtest.V3_6
			c.setup.prepare(t, s)
			s.writeChain(t, "server", newLeaf(t, s.clientCA, named(throwaway.Leaf{Key: key})))
			etcdtest.Run(t, c.setup.config(s, "m0", ""))
			s.waitServing(t)
			for _, r := range runAudit(t, s.endpoints(0)[:1], s.credentials()).Results {
				want, asked := c.want[r.CheckID]
				got := strings.TrimSuffix(string(r.Verdict)+" "+strings.Join(r.Codes, ","), " ")
				if asked && got != want {
					t.Errorf("%s: %s, want %s: %s", r.CheckID, got, want, r.Evidence)
				}
				delete(c.want, r.CheckID)
			}
			if len(c.want) > 0 {
				t.Errorf("no result of %v", c.want)
			}
		})
	}
}
