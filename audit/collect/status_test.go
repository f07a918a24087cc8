package collect_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// statuses returns every HTTP status that is registered, and some that are not, but 101: after that a
// server speaks another protocol.
func statuses() []int {
	all := []int{299, 399, 418, 499, 599, 600, 999}
	for status := 200; status < 600; status++ {
		if http.StatusText(status) != "" && status != http.StatusTeapot {
			all = append(all, status)
		}
	}
	return all
}

// statusServer serves every page but /version with one status, in plaintext and with TLS that asks
// for no certificate. It has no gRPC.
type statusServer struct {
	status         atomic.Int64
	plain, secured string
}

func startStatusServer(t *testing.T) *statusServer {
	t.Helper()
	now := time.Now()
	leaf := newLeaf(t, newCA(t, "statuses", now), throwaway.Leaf{EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	s := &statusServer{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := int(s.status.Load())
		if r.URL.Path == "/version" && r.Host != "etcdsec-audit.invalid" && r.Header.Get("Origin") == "" {
			status = http.StatusOK
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			_, _ = fmt.Fprintln(w, `{"etcdserver":"3.6.16"}`)
		}
	})
	serve := func(config *tls.Config) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		if config != nil {
			listener = tls.NewListener(listener, config)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = server.Close() })
		return address
	}
	s.plain = serve(nil)
	s.secured = serve(&tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{"http/1.1"}})
	return s
}

// verdictAt returns the only right verdict of a check about a server that answers every page with a
// status; judged is false for the checks that are not about pages.
func verdictAt(check string, plaintext bool, status int) (want audit.Verdict, judged bool) {
	byStatus := func(pass, fail func(int) bool) (audit.Verdict, bool) {
		switch {
		case pass(status):
			return audit.Pass, true
		case fail(status):
			return audit.Fail, true
		default:
			return audit.Unknown, true
		}
	}
	among := func(some ...int) func(int) bool {
		return func(status int) bool { return slices.Contains(some, status) }
	}
	served := func(status int) bool { return status/100 == 2 }
	switch check {
	case "metrics-exposed", "debug-exposed":
		return byStatus(among(401, 403, 404), served)
	case "gateway-enabled":
		return byStatus(among(404), among(400, 405, 501))
	case "grpc-proxy-exposed", "v2-api-enabled", "client-anonymous-read": // what it serves is not theirs
		return byStatus(among(404), among())
	case "browser-reachable":
		if !plaintext {
			return audit.Pass, true
		}
		return byStatus(among(), served)
	default:
		return "", false
	}
}

// Only a page that is there is exposed, and only a page that is refused or not there is withheld.
// All other statuses tell nothing.
func TestEveryStatus(t *testing.T) {
	s := startStatusServer(t)
	var endpoints []collect.Endpoint
	for _, address := range []string{s.plain, s.secured} {
		endpoints = append(endpoints, collect.Endpoint{Address: address, Kind: audit.Client}, collect.Endpoint{Address: address, Kind: audit.Metrics})
	}
	seen := map[audit.Verdict]int{}
	for _, status := range statuses() {
		s.status.Store(int64(status))
		targets, err := collect.Collect(t.Context(), endpoints, collect.Config{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			target.RemoteIP = netip.MustParseAddr("192.0.2.1") // metrics are allowed on loopback
		}
		for _, r := range audit.Run(catalog.All(), audit.Targets(targets)).Results {
			want, judged := verdictAt(r.CheckID, r.Target == s.plain, status)
			if !judged {
				continue
			}
			if r.Verdict != want {
				t.Errorf("HTTP status %d: %s of the %s port %s is %s, want %s: %s", status, r.CheckID, r.Kind, r.Target, r.Verdict, want, r.Evidence)
			}
			seen[r.Verdict]++
		}
	}
	for _, verdict := range []audit.Verdict{audit.Pass, audit.Fail, audit.Unknown} {
		if seen[verdict] == 0 {
			t.Errorf("no result is %s", verdict)
		}
	}
}
