package catalog_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func exposureFixtures(t *testing.T) []fixture {
	t.Helper()
	page := func(access audit.Access, path string, status int) audit.Page {
		return audit.Page{Attempt: answered, Access: access, Path: path, Status: status, Typical: true}
	}
	with := func(target *audit.Listener, pages ...audit.Page) *audit.Listener {
		target.Pages = append(target.Pages, pages...)
		return target
	}
	at := func(target *audit.Listener, ip string) *audit.Listener {
		target.RemoteIP = netip.MustParseAddr(ip)
		return target
	}
	metrics := page(audit.InPlaintext, "/metrics", 200)
	noPages := func(target *audit.Listener) *audit.Listener {
		target.Pages = nil
		return target
	}
	given := func(path string, status int) *audit.Listener {
		return with(noPages(hardened(t, audit.Client)), page(audit.WithCredentials, path, status))
	}
	closed := func(path string) audit.Page {
		return audit.Page{Attempt: ended, Access: audit.WithCredentials, Path: path}
	}
	grpcOnly := with(noPages(hardened(t, audit.Client)), closed("/v3/kv/range"), closed("/v2/keys"), closed("/debug/pprof/"))
	grpcOnly.RPCs = append(grpcOnly.RPCs, audit.RPC{Attempt: answered, Access: audit.WithCredentials, Method: audit.StatusRPC})
	browser := func(host, origin audit.Page) *audit.Listener {
		target := plaintextOnly(audit.Client)
		target.ForeignHost, target.ForeignOrigin = host, origin
		return target
	}
	allowed := page(audit.InPlaintext, "/version", 200)
	allowed.AllowsOrigin = true
	ungiven := noPages(hardened(t, audit.Client))
	ungiven.Handshakes = ungiven.Handshakes[:5]
	var unclear []fixture
	for _, status := range []int{103, 301, 304, 307, 418, 421, 500, 503, 999} {
		for check, path := range map[string]string{"metrics-exposed": "/metrics", "debug-exposed": "/debug/vars", "grpc-proxy-exposed": "/proxy/health", "v2-api-enabled": "/v2/keys"} {
			if check == "grpc-proxy-exposed" && status == 503 { // a proxy without a member answers it
				continue
			}
			unclear = append(unclear,
				fixture{check: check, name: fmt.Sprintf("HTTP status %d", status), target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, path, status)), verdict: audit.Unknown, evidence: strconv.Itoa(status)},
				fixture{check: check, name: fmt.Sprintf("HTTP status %d over TLS", status), target: with(anonymous(t, audit.Client), page(audit.WithoutCertificate, path, status)), verdict: audit.Unknown, evidence: strconv.Itoa(status)})
		}
	}
	return append(unclear, []fixture{
		{check: "metrics-exposed", name: "a part of the page", target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/metrics", 206)), verdict: audit.Fail, codes: []string{"client"}},
		{check: "metrics-exposed", name: "forbidden", target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/metrics", 403)), verdict: audit.Pass, evidence: "403"},
		{check: "debug-exposed", name: "a part of the page", target: given("/debug/pprof/", 206), verdict: audit.Fail, codes: []string{"pprof"}},
		{check: "debug-exposed", name: "behind a redirect", target: given("/debug/pprof/", 307), verdict: audit.Unknown, evidence: "307"},
		{check: "browser-reachable", name: "a fault", target: browser(page(audit.InPlaintext, "/version", 503), page(audit.InPlaintext, "/version", 200)), verdict: audit.Unknown, evidence: "503"},
		{check: "browser-reachable", name: "a fault for the origin", target: browser(page(audit.InPlaintext, "/version", 421), page(audit.InPlaintext, "/version", 503)), verdict: audit.Unknown, evidence: "503"},
		{check: "metrics-plaintext", name: "on the network", target: with(plaintextOnly(audit.Metrics), metrics), verdict: audit.Fail, codes: []string{"http1"}},
		{check: "metrics-plaintext", name: "on loopback", target: at(with(plaintextOnly(audit.Metrics), metrics), "::1"), verdict: audit.Pass, evidence: "loopback only"},
		{check: "metrics-plaintext", name: "TLS", target: hardened(t, audit.Metrics), verdict: audit.Pass, evidence: "does not answer plaintext"},
		{check: "metrics-plaintext", name: "no listener", verdict: audit.Pass, evidence: "nothing listens",
			target: &audit.Listener{Address: "192.0.2.1:2381", Kind: audit.Metrics, Reach: audit.Attempt{State: audit.Refused, Reason: "connection refused"}}},
		{check: "metrics-plaintext", name: "closes everything", verdict: audit.Unknown,
			target: &audit.Listener{Address: "192.0.2.1:2381", Kind: audit.Metrics, Reach: answered, Plaintext: audit.Page{Attempt: ended}}},

		{check: "metrics-exposed", name: "client certificate required", target: hardened(t, audit.Client), verdict: audit.Pass},
		{check: "metrics-exposed", name: "client plaintext", target: with(plaintextOnly(audit.Client), metrics), verdict: audit.Fail, codes: []string{"client"}},
		{check: "metrics-exposed", name: "client plaintext on loopback", target: at(with(plaintextOnly(audit.Client), metrics), "127.0.0.1"), verdict: audit.Fail, codes: []string{"client"}},
		{check: "metrics-exposed", name: "client TLS", target: with(anonymous(t, audit.Client), page(audit.WithoutCertificate, "/metrics", 200)), verdict: audit.Fail, codes: []string{"client"}},
		{check: "metrics-exposed", name: "client without metrics", target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/metrics", 404)), verdict: audit.Pass, evidence: "404"},
		{check: "metrics-exposed", name: "listener on the network", target: with(plaintextOnly(audit.Metrics), metrics), verdict: audit.Fail, codes: []string{"metrics"}},
		{check: "metrics-exposed", name: "listener on loopback", target: at(with(plaintextOnly(audit.Metrics), metrics), "127.0.0.1"), verdict: audit.Pass, evidence: "loopback only"},
		{check: "metrics-exposed", name: "listener on loopback, IPv6", target: at(with(plaintextOnly(audit.Metrics), metrics), "::1"), verdict: audit.Pass, evidence: "loopback only"},
		{check: "metrics-exposed", name: "listener with client certificates", target: hardened(t, audit.Metrics), verdict: audit.Pass},
		{check: "metrics-exposed", name: "no listener", verdict: audit.Pass, evidence: "nothing listens",
			target: &audit.Listener{Address: "192.0.2.1:2381", Kind: audit.Metrics, Reach: audit.Attempt{State: audit.Refused, Reason: "connection refused"}}},
		{check: "metrics-exposed", name: "filtered", verdict: audit.Unknown, evidence: "no answer",
			target: &audit.Listener{Address: "192.0.2.1:2381", Kind: audit.Metrics, Reach: silent, Handshakes: []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}}},

		{check: "gateway-enabled", name: "off", target: given("/v3/kv/range", 404), verdict: audit.Pass},
		{check: "gateway-enabled", name: "on", target: given("/v3/kv/range", 501), verdict: audit.Fail, codes: []string{"gateway"}},
		{check: "gateway-enabled", name: "on, authentication on", target: given("/v3/kv/range", 400), verdict: audit.Fail, codes: []string{"gateway"}},
		{check: "gateway-enabled", name: "on in plaintext", target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/v3/kv/range", 405)), verdict: audit.Fail, codes: []string{"gateway"}},
		{check: "gateway-enabled", name: "gRPC only", target: grpcOnly, verdict: audit.Skip, evidence: "--listen-client-http-urls"},
		{check: "gateway-enabled", name: "no credentials", target: ungiven, verdict: audit.Unknown, evidence: "--cert"},

		{check: "v2-api-enabled", name: "off", target: given("/v2/keys", 404), verdict: audit.Pass},
		{check: "v2-api-enabled", name: "on", target: given("/v2/keys", 200), verdict: audit.Fail, codes: []string{"v2"}},
		{check: "v2-api-enabled", name: "on with an authentication of its own", target: given("/v2/keys", 401), verdict: audit.Fail, codes: []string{"v2"}},
		{check: "v2-api-enabled", name: "no credentials", target: ungiven, verdict: audit.Unknown},

		{check: "grpc-proxy-exposed", name: "not let in", target: hardened(t, audit.Client), verdict: audit.Pass},
		{check: "grpc-proxy-exposed", name: "a member", target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/proxy/health", 404)), verdict: audit.Pass},
		{check: "grpc-proxy-exposed", name: "in plaintext", target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/proxy/health", 200)), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "grpc-proxy-exposed", name: "no member answers it", target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/proxy/health", 503)), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "grpc-proxy-exposed", name: "over TLS", target: with(anonymous(t, audit.Client), page(audit.WithoutCertificate, "/proxy/health", 200)), verdict: audit.Fail, codes: []string{"tls"}},
		{check: "grpc-proxy-exposed", name: "a server that answers anything", verdict: audit.Unknown,
			target: with(plaintextOnly(audit.Client), audit.Page{Attempt: answered, Access: audit.InPlaintext, Path: "/proxy/health", Status: 200})},
		{check: "v2-api-enabled", name: "a server that answers anything", verdict: audit.Unknown,
			target: with(plaintextOnly(audit.Client), audit.Page{Attempt: answered, Access: audit.InPlaintext, Path: "/v2/keys", Status: 200})},
		{check: "gateway-enabled", name: "a server that answers anything", target: given("/v3/kv/range", 200), verdict: audit.Unknown},
		{check: "grpc-proxy-exposed", name: "times out", verdict: audit.Unknown,
			target: with(plaintextOnly(audit.Client), audit.Page{Attempt: silent, Access: audit.InPlaintext, Path: "/proxy/health"})},

		{check: "browser-reachable", name: "TLS only", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "without TLS"},
		{check: "browser-reachable", name: "every host and origin", target: browser(page(audit.InPlaintext, "/version", 200), allowed), verdict: audit.Fail, codes: []string{"any-host", "any-origin"}},
		{check: "browser-reachable", name: "whitelist of hosts, every origin", target: browser(page(audit.InPlaintext, "/version", 421), allowed), verdict: audit.Fail, codes: []string{"any-origin"}},
		{check: "browser-reachable", name: "whitelists", target: browser(page(audit.InPlaintext, "/version", 421), page(audit.InPlaintext, "/version", 200)), verdict: audit.Pass},
		{check: "browser-reachable", name: "not asked", target: plaintextOnly(audit.Client), verdict: audit.Unknown},
		{check: "browser-reachable", name: "plaintext times out", verdict: audit.Unknown,
			target: changed(t, audit.Client, func(target *audit.Listener) { target.Plaintext.Attempt = silent })},

		{check: "debug-exposed", name: "gRPC only", target: grpcOnly, verdict: audit.Skip},
		{check: "debug-exposed", name: "off", target: hardened(t, audit.Client), verdict: audit.Pass},
		{check: "debug-exposed", name: "pprof to a client", verdict: audit.Fail, codes: []string{"pprof"},
			target: with(noPages(hardened(t, audit.Client)), page(audit.WithCredentials, "/debug/pprof/", 200))},
		{check: "debug-exposed", name: "requests to a client", verdict: audit.Fail, codes: []string{"requests"},
			target: with(noPages(hardened(t, audit.Client)), page(audit.WithCredentials, "/debug/requests", 200))},
		{check: "debug-exposed", name: "variables to a client", verdict: audit.Pass,
			target: with(hardened(t, audit.Client), page(audit.WithCredentials, "/debug/vars", 200))},
		{check: "debug-exposed", name: "variables to everybody", verdict: audit.Fail, codes: []string{"vars"},
			target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/debug/vars", 200))},
		{check: "debug-exposed", name: "plaintext without debug pages", verdict: audit.Pass,
			target: with(plaintextOnly(audit.Client), page(audit.InPlaintext, "/debug/vars", 404))},
		{check: "debug-exposed", name: "no credentials", target: ungiven, verdict: audit.Unknown, evidence: "--cert"},
		{check: "debug-exposed", name: "times out", verdict: audit.Unknown, evidence: "no answer",
			target: with(hardened(t, audit.Client), audit.Page{Attempt: silent, Access: audit.InPlaintext, Path: "/debug/vars"})},
	}...)
}
