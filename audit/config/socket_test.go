package config_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A real member answers on a unix:// socket without TLS and without a certificate, whatever its
// flags for both are, and on a unixs:// socket it wants both. The checks of its settings say so.
func TestSocket(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		for scheme, want := range map[string]string{"unix": "fail plaintext-socket", "unixs": "pass "} {
			t.Run(version+" "+scheme, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				socket := s.path("s")
				flags := slices.Concat(s.clientMTLS(), s.clientURLs("https://"+s.client+","+scheme+"://"+socket), s.peerMTLS())
				s.start(t, version, flags)

				if open := answersOnSocket(t, socket, nil); open != (scheme == "unix") {
					t.Errorf("%s answers without TLS: %v", socket, open)
				}
				if answersOnSocket(t, socket, &tls.Config{InsecureSkipVerify: true}) {
					t.Errorf("%s answers over TLS without a certificate", socket)
				}
				if answersOnSocket(t, socket, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{s.given}}) != (scheme == "unixs") {
					t.Errorf("%s answers over TLS with a certificate, or does not", socket)
				}

				target := &audit.HostSettings{Address: "host:process m0", Now: time.Now(), Settings: s.settings(t, version, flags)}
				seen := map[string]string{}
				for _, r := range audit.Run(catalog.All(), []audit.Target{target}).Results {
					seen[r.CheckID] = string(r.Verdict) + " " + strings.Join(r.Codes, ",")
				}
				for _, check := range []string{"config-client-tls", "config-client-cert-auth"} {
					if seen[check] != want {
						t.Errorf("%s: %s, want %s", check, seen[check], want)
					}
				}
			})
		}
	}
}

// answersOnSocket reports whether GET /version on a socket tells the version of etcd.
func answersOnSocket(t *testing.T, socket string, secure *tls.Config) bool {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: secure,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if secure != nil {
		scheme = "https"
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	response, err := client.Get(scheme + "://localhost/version")
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var version struct {
		Server string `json:"etcdserver"`
	}
	return response.StatusCode == http.StatusOK && json.Unmarshal(data, &version) == nil && version.Server != ""
}
