package catalog_test

import (
	"crypto/tls"
	"net/netip"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// meant is a listener that is seen like target, with the settings of hardenedSettings.
func meant(target *audit.Listener, address string, pairs ...string) *audit.Listener {
	target.Settings = hardenedSettings()
	set(target.Settings, pairs...)
	target.Address = address
	return target
}

func intentFixtures(t *testing.T) []fixture {
	t.Helper()
	const clientAt, peerAt, metricsAt = "192.0.2.1:2379", "192.0.2.1:2380", "127.0.0.1:2381"
	client := func(change func(*audit.Listener), pairs ...string) *audit.Listener {
		return meant(changed(t, audit.Client, change), clientAt, pairs...)
	}
	asItIs := func(*audit.Listener) {}
	metrics := func(ip string, target *audit.Listener, pairs ...string) *audit.Listener {
		target.RemoteIP = netip.MustParseAddr(ip)
		target.Pages = append(target.Pages, audit.Page{Attempt: answered, Access: audit.InPlaintext, Path: "/metrics", Status: 200})
		return meant(target, ip+":2381", pairs...)
	}
	both := func(target *audit.Listener) { target.Plaintext.Attempt, target.Plaintext.Status = answered, 200 }
	tls12 := func(target *audit.Listener) {
		target.Handshakes[2] = audit.Handshake{Attempt: alert, Presented: audit.NoCertificate, MaxVersion: tls.VersionTLS12, SpokeTLS: true, Version: tls.VersionTLS12}
	}
	return []fixture{
		{check: "intent-vs-reality", name: "as it was meant", target: client(asItIs), verdict: audit.Pass, evidence: "tls, plaintext, client-cert, client-ca, min-tls, pprof"},
		{check: "intent-vs-reality", name: "peer as it was meant", target: meant(hardened(t, audit.Peer), peerAt), verdict: audit.Pass, evidence: "peer-cert, peer-ca"},
		{check: "intent-vs-reality", name: "metrics as they were meant", target: metrics("127.0.0.1", plaintextOnly(audit.Metrics)), verdict: audit.Pass},
		{check: "intent-vs-reality", name: "plaintext as it was meant", verdict: audit.Pass,
			target: meant(func() *audit.Listener {
				target := plaintextOnly(audit.Client)
				target.Pages = []audit.Page{{Attempt: answered, Access: audit.InPlaintext, Path: "/debug/pprof/", Status: 404}}
				return target
			}(), clientAt, "listen-client-urls", "http://192.0.2.1:2379", "cert-file", "", "key-file", "", "client-cert-auth", "", "trusted-ca-file", "")},

		// All flags for mutual TLS, and one URL more.
		{check: "intent-vs-reality", name: "plaintext beside TLS", verdict: audit.Fail, codes: []string{"client-cert-open", "plaintext-open"}, evidence: "http://192.0.2.1:2379",
			target: client(both, "listen-client-urls", "https://192.0.2.1:2379,http://192.0.2.1:2379")},
		{check: "intent-vs-reality", name: "plaintext in place of TLS", verdict: audit.Fail, codes: []string{"client-cert-open", "tls-open"},
			target: meant(func() *audit.Listener {
				target := plaintextOnly(audit.Client)
				target.Pages = []audit.Page{{Attempt: answered, Access: audit.InPlaintext, Path: "/debug/pprof/", Status: 404}}
				return target
			}(), clientAt, "listen-client-urls", "http://192.0.2.1:2379")},
		{check: "intent-vs-reality", name: "plaintext that no setting explains", verdict: audit.Fail, codes: []string{"client-cert-open", "plaintext-open"}, evidence: "restarted", target: client(both)},
		{check: "intent-vs-reality", name: "plaintext of another port of the member", target: client(asItIs, "listen-client-urls", "https://192.0.2.1:2379,http://127.0.0.1:2379"), verdict: audit.Pass},
		{check: "intent-vs-reality", name: "no certificate asked for", verdict: audit.Fail, codes: []string{"client-cert-open"},
			target: func() *audit.Listener {
				target := meant(anonymous(t, audit.Client), clientAt, "tls-min-version", "TLS1.3")
				target.Pages = []audit.Page{{Attempt: answered, Access: audit.WithoutCertificate, Path: "/debug/pprof/", Status: 404}}
				return target
			}()},
		{check: "intent-vs-reality", name: "the flag is off and it holds", target: client(asItIs, "client-cert-auth", "false"), verdict: audit.Fail, codes: []string{"client-cert-holds"}, evidence: "--trusted-ca-file"},
		{check: "intent-vs-reality", name: "peers: the flag is off and it holds", target: meant(hardened(t, audit.Peer), peerAt, "peer-client-cert-auth", ""), verdict: audit.Fail, codes: []string{"peer-cert-holds"}},
		{check: "intent-vs-reality", name: "the CAs of the system", verdict: audit.Fail, codes: []string{"client-ca-open"}, evidence: "names no CA",
			target: client(func(target *audit.Listener) { handshake(target, audit.NoCertificate).AcceptableCAs = nil }, "trusted-ca-file", "")},
		{check: "intent-vs-reality", name: "a flag that a config file replaces", verdict: audit.Fail, codes: []string{"client-cert-open"},
			target: func() *audit.Listener {
				target := meant(anonymous(t, audit.Client), clientAt, "trusted-ca-file", "")
				target.Settings.Values["client-cert-auth"] = audit.Setting{Overridden: []audit.Override{{Source: "flag", Value: "true", Flag: true, Text: "flag --client-cert-auth=true: a config file replaces all flags"}}}
				target.Pages = []audit.Page{{Attempt: answered, Access: audit.WithoutCertificate, Path: "/debug/pprof/", Status: 404}}
				return target
			}()},
		{check: "intent-vs-reality", name: "TLS 1.2", target: client(tls12), verdict: audit.Fail, codes: []string{"min-tls-open"}},
		{check: "intent-vs-reality", name: "TLS 1.2 as it was meant", target: client(tls12, "tls-min-version", ""), verdict: audit.Pass},
		{check: "intent-vs-reality", name: "TLS 1.3 of yesterday", target: client(asItIs, "tls-min-version", ""), verdict: audit.Fail, codes: []string{"min-tls-holds"}, evidence: "restarted"},
		{check: "intent-vs-reality", name: "pprof by the log level", verdict: audit.Fail, codes: []string{"pprof-open"}, evidence: "--log-level=debug",
			target: client(func(target *audit.Listener) { target.Pages[0].Status = 200 }, "log-level", "debug")},
		{check: "intent-vs-reality", name: "pprof that is not there", target: client(asItIs, "enable-pprof", "true"), verdict: audit.Fail, codes: []string{"pprof-holds"}},
		{check: "intent-vs-reality", name: "metrics in plaintext", target: metrics("192.0.2.1", plaintextOnly(audit.Metrics), "listen-metrics-urls", "http://0.0.0.0:2381"), verdict: audit.Pass},
		{check: "intent-vs-reality", name: "metrics with TLS and without certificates", verdict: audit.Fail, codes: []string{"metrics-open"},
			target: func() *audit.Listener {
				target := meant(anonymous(t, audit.Metrics), "192.0.2.1:2381", "listen-metrics-urls", "https://192.0.2.1:2381", "trusted-ca-file", "", "client-cert-auth", "")
				target.Pages = []audit.Page{{Attempt: answered, Access: audit.WithoutCertificate, Path: "/metrics", Status: 200}}
				return target
			}()},
		{check: "intent-vs-reality", name: "no metrics", verdict: audit.Skip,
			target: meant(&audit.Listener{Kind: audit.Metrics, Reach: audit.Attempt{State: audit.Refused, Reason: "connection refused"}}, metricsAt)},

		{check: "intent-vs-reality", name: "another port", target: meant(hardened(t, audit.Client), "192.0.2.1:4001"), verdict: audit.Unknown, evidence: "no URL"},
		{check: "intent-vs-reality", name: "settings not read", verdict: audit.Unknown, evidence: "permission denied",
			target: func() *audit.Listener {
				target := client(asItIs)
				target.Settings.Faults = []audit.Fault{{Subject: "client-cert-auth", Reason: "permission denied"}}
				return target
			}()},
		{check: "intent-vs-reality", name: "no credentials", target: client(func(target *audit.Listener) { target.Pages = nil }), verdict: audit.Unknown, evidence: "--cert"},
		{check: "intent-vs-reality", name: "silent", target: client(func(target *audit.Listener) { target.Plaintext.Attempt = silent }), verdict: audit.Unknown, evidence: "no answer"},
	}
}
