package config_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// configuration is how a real member is set up, what the checks of its settings must say
// of it, and where they must find that the port is not as it looks.
type configuration struct {
	name     string
	flags    func(s *site) []string
	versions []string // nil: 3.6
	// want is by check, "fail CODES" or "unknown"; what is not in it passes or is skipped.
	// intent-vs-reality has the kind of its listener in front.
	want map[string]string
}

func configurations() []configuration {
	every := etcdtest.Versions()
	const suites = "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
	anyTLS12 := map[string]string{"config-tls": "fail default-suites"}
	and := func(more ...string) map[string]string {
		want := maps.Clone(anyTLS12)
		for pair := range slices.Chunk(more, 2) {
			want[pair[0]] = pair[1]
		}
		return want
	}
	return []configuration{
		{name: "hardened", versions: every,
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--tls-min-version=TLS1.3"})
			}},
		{name: "TLS 1.2 with strong suites", versions: every,
			flags: func(s *site) []string { return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{suites}) }},
		{name: "TLS 1.2 with the default suites", versions: every, want: anyTLS12,
			flags: func(s *site) []string { return slices.Concat(s.clientMTLS(), s.peerMTLS()) }},
		{name: "no TLS 1.3", want: map[string]string{"config-tls": "fail no-tls-one-three"},
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{suites, "--tls-max-version=TLS1.2"})
			}},
		{name: "trusted CA alone", versions: every,
			want: and("client intent-vs-reality", "fail client-cert-holds", "peer intent-vs-reality", "fail peer-cert-holds"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientTLS(), []string{"--trusted-ca-file=" + s.path("ca.crt")}, s.peerTLS(), []string{"--peer-trusted-ca-file=" + s.path("peer-ca.crt")})
			}},
		{name: "trusted CA against the flag",
			want: and("client intent-vs-reality", "fail client-cert-holds"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), []string{"--client-cert-auth=false"}, s.peerMTLS())
			}},
		{name: "client-cert-auth without a CA", versions: every,
			want: and("config-client-cert-auth", "fail system-roots", "config-peer-cert-auth", "fail system-roots",
				"client intent-vs-reality", "fail client-ca-open", "peer intent-vs-reality", "fail peer-ca-open"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientTLS(), []string{"--client-cert-auth=true"}, s.peerTLS(), []string{"--peer-client-cert-auth=true"})
			}},
		{name: "no client certificates",
			want:  and("config-client-cert-auth", "fail not-required", "config-peer-cert-auth", "fail not-required"),
			flags: func(s *site) []string { return slices.Concat(s.clientTLS(), s.peerTLS()) }},
		{name: "auto-tls", versions: every,
			want: and("config-auto-tls", "fail generated", "config-client-cert-auth", "fail auto-tls",
				"config-peer-auto-tls", "fail generated", "config-peer-cert-auth", "fail auto-tls"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientURLs("https://"+s.client), s.peerURL("https"), []string{"--auto-tls=true", "--peer-auto-tls=true"})
			}},
		{name: "auto-tls that drops client-cert-auth", versions: every,
			want: and("config-auto-tls", "fail generated", "config-client-cert-auth", "fail auto-tls",
				"config-peer-auto-tls", "fail generated", "config-peer-cert-auth", "fail auto-tls",
				"client intent-vs-reality", "fail client-cert-open", "peer intent-vs-reality", "fail peer-cert-open"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientURLs("https://"+s.client), s.peerURL("https"), []string{
					"--auto-tls=true", "--client-cert-auth=true", "--trusted-ca-file=" + s.path("ca.crt"),
					"--peer-auto-tls=true", "--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + s.path("peer-ca.crt"),
				})
			}},
		{name: "auto-tls beside files", versions: every, want: anyTLS12,
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--auto-tls=true", "--peer-auto-tls=true"})
			}},
		{name: "plaintext", versions: every,
			want: map[string]string{
				"config-client-tls": "fail plaintext-loopback", "config-client-cert-auth": "fail plaintext",
				"config-peer-tls": "fail plaintext-loopback", "config-peer-cert-auth": "fail plaintext",
			},
			flags: func(s *site) []string { return slices.Concat(s.clientURLs("http://"+s.client), s.peerURL("http")) }},
		{name: "plaintext under all flags for TLS",
			want: map[string]string{
				"config-client-tls": "fail plaintext-loopback", "config-client-cert-auth": "fail plaintext", "client intent-vs-reality": "fail client-cert-open,tls-open",
				"config-peer-tls": "fail plaintext-loopback", "config-peer-cert-auth": "fail plaintext", "peer intent-vs-reality": "fail peer-cert-open,tls-open",
			},
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.clientURLs("http://"+s.client), s.peerMTLS(), s.peerURL("http"))
			}},
		{name: "plaintext beside TLS on one port", versions: every,
			want: and("config-client-tls", "fail plaintext-loopback", "config-client-cert-auth", "fail plaintext",
				"client intent-vs-reality", "fail client-cert-open,plaintext-open"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.clientURLs("https://"+s.client+",http://"+s.client), s.peerMTLS())
			}},
		{name: "HTTP on a port of its own", versions: every, want: anyTLS12,
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), []string{"--listen-client-http-urls=https://" + s.http}, s.peerMTLS())
			}},
		{name: "HTTP of its own, and plaintext that is not started", versions: every, want: anyTLS12,
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.clientURLs("https://"+s.client+",http://"+s.client), []string{"--listen-client-http-urls=https://" + s.http}, s.peerMTLS())
			}},
		{name: "pprof", want: and("config-log-level", "fail pprof"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--enable-pprof=true"})
			}},
		{name: "debug logs", versions: every, want: and("config-log-level", "fail debug", "client intent-vs-reality", "fail pprof-open"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--log-level=debug"})
			}},
		{name: "DER CRL", versions: every, want: anyTLS12,
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--client-crl-file=" + s.path("none.crl")})
			}},
		{name: "PEM CRL of 3.5", versions: []string{etcdtest.V3_5}, want: and("config-crl-format", "fail pem-before-upgrade-client"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--client-crl-file=" + s.path("none.pem")})
			}},
		{name: "PEM CRL", versions: []string{etcdtest.V3_6, etcdtest.V3_7},
			want: and("config-crl-format", "fail pem-client", "client intent-vs-reality", "unknown"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--client-crl-file=" + s.path("none.pem")})
			}},
		{name: "revoked, over gRPC alone", versions: every, want: anyTLS12,
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--client-crl-file=" + s.path("given.crl"), "--listen-client-http-urls=https://" + s.http})
			}},
		{name: "revoked, over gRPC alone, of an affected release", versions: []string{etcdtest.Vulnerable}, want: and("config-crl-bypass", "fail bypassed"),
			flags: func(s *site) []string {
				return slices.Concat(s.clientMTLS(), s.peerMTLS(), []string{"--client-crl-file=" + s.path("given.crl"), "--listen-client-http-urls=https://" + s.http})
			}},
	}
}

// What is said of the settings is what the port does.
func TestRealEtcd(t *testing.T) {
	for _, c := range configurations() {
		versions := c.versions
		if versions == nil {
			versions = []string{etcdtest.V3_6}
		}
		for _, version := range versions {
			t.Run(version+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				flags := c.flags(s)
				settings := s.settings(t, version, flags)
				s.start(t, version, flags)
				targets, told := s.targets(t, settings)
				report := audit.Run(catalog.All(), append(audit.Targets(targets), told))
				compare(t, report, c.want)
				agree(t, s, report, targets)
			})
		}
	}
}

// compare looks at the checks of the settings. Those of files, of a sandbox and of an API
// server have nothing to look at here.
func compare(t *testing.T, report audit.Report, want map[string]string) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range report.Results {
		key := r.CheckID
		if key == "intent-vs-reality" {
			key = string(r.Kind) + " " + key
		} else if !strings.HasPrefix(key, "config-") || key == "config-sandbox" {
			continue
		}
		seen[key] = true
		got := string(r.Verdict)
		if r.Verdict == audit.Fail {
			got += " " + strings.Join(r.Codes, ",")
		}
		wanted, special := want[key]
		if special && got != wanted || !special && r.Verdict != audit.Pass && r.Verdict != audit.Skip {
			t.Errorf("%s: got %q, want %q (%s)", key, got, wanted, r.Evidence)
		}
	}
	for key := range want {
		if !seen[key] {
			t.Errorf("no result of %s", key)
		}
	}
}

// agree compares what is said of the settings with what the wire says of the same thing.
func agree(t *testing.T, s *site, report audit.Report, targets []*audit.Listener) {
	t.Helper()
	client, peer := targets[0], targets[1]
	result := func(kind audit.Kind, check string) audit.Result {
		at := slices.IndexFunc(report.Results, func(r audit.Result) bool { return r.Kind == kind && r.CheckID == check })
		if at < 0 {
			t.Fatalf("no result of %s", check)
		}
		return report.Results[at]
	}
	fails := func(check string) bool { return result(audit.Config, check).Verdict == audit.Fail }
	has := func(r audit.Result, code string) bool { return slices.Contains(r.Codes, code) }
	open := func(target *audit.Listener, required string) bool {
		h := target.Handshake(audit.NoCertificate)
		return result(target.Kind, required).Verdict == audit.Fail || h.CertificateRequested && len(h.AcceptableCAs) == 0
	}
	generated := func(target *audit.Listener) bool {
		chain := target.Handshake(audit.NoCertificate).Chain
		return len(chain) == 1 && slices.Equal(chain[0].Subject.Organization, []string{"etcd"})
	}
	gRPC := client.RPC(audit.WithCredentials, audit.StatusRPC).State == audit.Answered
	strict := client.Handshake(audit.NoCertificate).State != audit.Answered && !client.AnswersPlaintext()
	crl := client.Settings.Value("client-crl-file")
	for _, same := range []struct {
		what           string
		settings, wire bool
	}{
		{"client plaintext", fails("config-client-tls"), result(audit.Client, "client-plaintext").Verdict == audit.Fail},
		{"client certificates", fails("config-client-cert-auth"), open(client, "client-cert-required")},
		{"a generated client certificate", fails("config-auto-tls"), generated(client)},
		{"peer plaintext", fails("config-peer-tls"), result(audit.Peer, "peer-plaintext").Verdict == audit.Fail},
		{"peer certificates", fails("config-peer-cert-auth"), open(peer, "peer-cert-required")},
		{"a generated peer certificate", fails("config-peer-auto-tls"), generated(peer)},
		{"CBC suites", has(result(audit.Config, "config-tls"), "default-suites"), agreesToCBC(t, s.client) || agreesToCBC(t, s.peer)},
		{"TLS 1.3", has(result(audit.Config, "config-tls"), "no-tls-one-three"), client.Handshake(audit.NoCertificate).Version == 0x0303},
		{"pprof", fails("config-log-level"), has(result(audit.Client, "debug-exposed"), "pprof")},
		{"a list that locks out", has(result(audit.Config, "config-crl-format"), "pem-client"), crl != "" && strings.HasPrefix(crl, s.path("none")) && !gRPC && strict},
		{"a revoked client that is let in", fails("config-crl-bypass"), crl == s.path("given.crl") && gRPC},
	} {
		if same.settings != same.wire {
			t.Errorf("%s: the settings say %t, the wire says %t", same.what, same.settings, same.wire)
		}
	}
}
