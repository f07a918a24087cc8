package catalog_test

import (
	"net/netip"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func exposureFixtures(t *testing.T) []fixture {
	t.Helper()
	page := func(access audit.Access, path string, status int) audit.Page {
		return audit.Page{Attempt: answered, Access: access, Path: path, Status: status}
	}
	with := func(target *audit.Target, pages ...audit.Page) *audit.Target {
		target.Pages = append(target.Pages, pages...)
		return target
	}
	at := func(target *audit.Target, ip string) *audit.Target {
		target.RemoteIP = netip.MustParseAddr(ip)
		return target
	}
	metrics := page(audit.InPlaintext, "/metrics", 200)
	noPages := func(target *audit.Target) *audit.Target {
		target.Pages = nil
		return target
	}
	ungiven := noPages(hardened(t, audit.Client))
	ungiven.Handshakes = ungiven.Handshakes[:5]
	return []fixture{
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
			target: &audit.Target{Address: "192.0.2.1:2381", Kind: audit.Metrics, Reach: audit.Attempt{State: audit.Refused, Reason: "connection refused"}}},
		{check: "metrics-exposed", name: "filtered", verdict: audit.Unknown, evidence: "no answer",
			target: &audit.Target{Address: "192.0.2.1:2381", Kind: audit.Metrics, Reach: silent, Handshakes: []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}}},

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
	}
}
