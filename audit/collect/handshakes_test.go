package collect_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// A server that shows its good certificate to some callers, and a bad one to others, is judged by both.
func TestEveryHandshakeCounts(t *testing.T) {
	now := time.Now()
	ca, other := newCA(t, "etcd", now), newCA(t, "another", now)
	good := newLeaf(t, ca, throwaway.Leaf{EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	bad := newLeaf(t, other, throwaway.Leaf{EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 2)},
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Hour)})
	for _, c := range []struct {
		name string
		bad  func(nth int64, hello *tls.ClientHelloInfo) bool
		same bool

		alone bool // the bad one to ClientHellos of TLS 1.2 that no handshake follows
	}{
		{name: "the same to all", bad: func(int64, *tls.ClientHelloInfo) bool { return false }, same: true},
		{name: "bad to a ClientHello alone", bad: func(int64, *tls.ClientHelloInfo) bool { return false }, alone: true},
		{name: "good to the first", bad: func(nth int64, _ *tls.ClientHelloInfo) bool { return nth > 1 }},
		{name: "good to all but the first", bad: func(nth int64, _ *tls.ClientHelloInfo) bool { return nth == 1 }},
		{name: "good to TLS 1.3", bad: func(_ int64, hello *tls.ClientHelloInfo) bool {
			return !slices.Contains(hello.SupportedVersions, tls.VersionTLS13)
		}},
		{name: "bad before pages", bad: func(_ int64, hello *tls.ClientHelloInfo) bool {
			return slices.Equal(hello.SupportedProtos, []string{"http/1.1"})
		}},
		{name: "bad before calls", bad: func(_ int64, hello *tls.ClientHelloInfo) bool {
			return slices.Equal(hello.SupportedProtos, []string{"h2"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var handshakes atomic.Int64
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{
				Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
				TLSConfig: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
					// Only those are counted that can end.
					whole := len(hello.SupportedProtos) > 0
					if whole && c.bad(handshakes.Add(1), hello) || !whole && c.alone && !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
						return &bad, nil
					}
					return &good, nil
				}},
			}
			go func() { _ = server.ServeTLS(listener, "", "") }()
			t.Cleanup(func() { _ = server.Close() })
			targets, err := collect.Collect(t.Context(), []collect.Endpoint{{Address: listener.Addr().String(), Kind: audit.Client}},
				collect.Config{Now: time.Now, Credentials: collect.Credentials{Roots: ca.Pool()}})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"cert-expiry": "leaf-expired", "cert-chain": "not-trusted", "cert-san-mismatch": "127.0.0.1"}
			for _, r := range audit.Run(catalog.All(), audit.Targets(targets)).Results {
				code, judged := want[r.CheckID]
				if !judged {
					continue
				}
				delete(want, r.CheckID)
				if c.same {
					if slices.Contains(r.Codes, code) || strings.Contains(r.Evidence, "differ") {
						t.Errorf("%s is %s %v: %s", r.CheckID, r.Verdict, r.Codes, r.Evidence)
					}
					continue
				}
				if r.Verdict != audit.Fail || !slices.Contains(r.Codes, code) || !strings.Contains(r.Evidence, "the handshakes differ: the port served 2 chains") {
					t.Errorf("%s is %s %v: %s", r.CheckID, r.Verdict, r.Codes, r.Evidence)
				}
			}
			if len(want) > 0 {
				t.Errorf("no result of %v", want)
			}
		})
	}
}
