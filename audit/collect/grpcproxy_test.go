package collect_test

import (
	"crypto/tls"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// A grpc-proxy lends its own certificate to whoever it lets in.
func TestGRPCProxy(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t)
			(setup{version: version}).start(t, s, "")
			open, closed := address(etcdtest.FreePort(t)), address(etcdtest.FreePort(t))
			// It takes no certificate with a common name: RBAC by that name would be everybody's (grpc_proxy.go).
			s.writePair(t, "proxy", newLeaf(t, s.clientCA, throwaway.Leaf{EKUs: bothEKUs}))
			upstream := []string{"grpc-proxy", "start", "--endpoints=https://" + s.client, "--cacert=" + s.path("ca.crt"),
				"--cert=" + s.path("proxy.crt"), "--key=" + s.path("proxy.key")}
			etcdtest.Run(t,
				etcdtest.Config{Name: "open", Version: version, HealthURL: "http://" + open + "/health",
					Args: append(upstream, "--listen-addr="+open, "--advertise-client-url="+open)},
				etcdtest.Config{Name: "closed", Version: version, HealthURL: "https://" + closed + "/health",
					HealthTLS: &tls.Config{RootCAs: s.clientCA.Pool(), Certificates: []tls.Certificate{s.given}},
					Args: append(upstream, "--listen-addr="+closed, "--advertise-client-url="+closed, "--cert-file="+s.path("server.crt"), "--key-file="+s.path("server.key"),
						"--trusted-ca-file="+s.path("ca.crt"))})
			report := runAudit(t, []collect.Endpoint{{Address: open, Kind: audit.Client}, {Address: closed, Kind: audit.Client}, {Address: s.client, Kind: audit.Client}}, s.credentials())
			want := map[string]map[string]audit.Verdict{
				open:     {"grpc-proxy-exposed": audit.Fail, "client-plaintext": audit.Fail, "client-anonymous-read": audit.Fail},
				closed:   {"grpc-proxy-exposed": audit.Pass, "client-plaintext": audit.Pass, "client-anonymous-read": audit.Pass, "client-cert-required": audit.Pass},
				s.client: {"grpc-proxy-exposed": audit.Pass, "client-plaintext": audit.Pass, "client-anonymous-read": audit.Pass},
			}
			for _, r := range report.Results {
				if verdict, asked := want[r.Target][r.CheckID]; asked {
					delete(want[r.Target], r.CheckID)
					if r.Verdict != verdict {
						t.Errorf("%s %s: %s, want %s: %s", r.Target, r.CheckID, r.Verdict, verdict, r.Evidence)
					}
				}
			}
			for target, left := range want {
				if len(left) > 0 {
					t.Errorf("%s: no result for %v", target, left)
				}
			}
		})
	}
}
