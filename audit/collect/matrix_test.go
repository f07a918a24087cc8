package collect_test

import (
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki"
)

// matrixCase is a real member and what the audit must say of it. A verdict that is not
// pass carries its codes or a part of its evidence after a space.
type matrixCase struct {
	name      string
	prepare   func(t *testing.T, s *site)
	flags     func(s *site) []string
	anonymous bool // audited without credentials
	minTLS    uint16
	// want is by kind and check; everything that is not in it must pass, or be skipped on
	// the metrics listener, which is plaintext on the loopback address.
	want map[string]string
	// everyVersion runs it on each etcd release and not only on 3.6.
	everyVersion bool
}

func matrix() []matrixCase {
	noCredentials := map[string]string{
		"client/debug-exposed":          "unknown --cert",
		"client/member-url-plaintext":   "unknown --cert",
		"client/version-vulnerable":     "unknown --cert",
		"peer/peer-accepts-client-cert": "unknown --cert",
	}
	lettingAllIn := map[string]string{
		"client/client-anonymous-read": "fail tls",
		"client/client-cert-required":  "fail not-requested",
		"client/client-foreign-ca":     "fail not-requested",
		"client/metrics-exposed":       "fail client",
		"client/debug-exposed":         "fail vars",
	}
	return []matrixCase{
		{
			name: "hardened", everyVersion: true, minTLS: tls.VersionTLS13,
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS(), "--tls-min-version=TLS1.3") },
		},
		{
			name: "hardened, TLS 1.2", everyVersion: true,
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS()) },
		},
		{
			name: "TLS 1.2 where 1.3 is wanted", minTLS: tls.VersionTLS13,
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS(), "--tls-min-version=TLS1.2") },
			want:  map[string]string{"client/tls-version-min": "fail tls1.2", "peer/tls-version-min": "fail tls1.2"},
		},
		{
			name: "hardened without credentials", anonymous: true, everyVersion: true,
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS()) },
			want:  noCredentials,
		},
		{
			name: "hardened without credentials, TLS 1.3", anonymous: true,
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS(), "--tls-min-version=TLS1.3") },
			want:  noCredentials,
		},
		{
			name: "plaintext", anonymous: true, everyVersion: true,
			flags: func(s *site) []string { return flags(s.clientPlain(), s.peerURLs("http")) },
			want: map[string]string{
				"client/client-plaintext":       "fail h2c,http1",
				"client/client-anonymous-read":  "fail h2c",
				"client/client-cert-required":   "fail plaintext",
				"client/client-foreign-ca":      "skip no TLS",
				"client/metrics-exposed":        "fail client",
				"client/debug-exposed":          "fail vars",
				"client/tls-version-min":        "skip no TLS",
				"client/cert-expiry":            "skip no TLS",
				"client/cert-san-mismatch":      "skip no TLS",
				"client/member-url-plaintext":   "fail m0-client,m0-peer",
				"peer/peer-plaintext":           "fail http1",
				"peer/peer-cert-required":       "fail plaintext",
				"peer/peer-accepts-client-cert": "fail plaintext",
				"peer/tls-version-min":          "skip no TLS",
				"peer/cert-expiry":              "skip no TLS",
				"peer/cert-san-mismatch":        "skip no TLS",
			},
		},
		{
			name: "plaintext beside TLS on one port", everyVersion: true,
			flags: func(s *site) []string {
				return flags(s.clientMTLS(), s.clientURLs("https://"+s.client+",http://"+s.client, "https://"+s.client), s.peerMTLS())
			},
			want: map[string]string{
				"client/client-plaintext":      "fail h2c,http1",
				"client/client-anonymous-read": "fail h2c",
				"client/client-cert-required":  "fail plaintext",
				"client/metrics-exposed":       "fail client",
				"client/debug-exposed":         "fail vars",
			},
		},
		{
			name: "TLS without client certificates", everyVersion: true,
			flags: func(s *site) []string { return flags(s.clientTLS(), s.peerMTLS()) },
			want:  lettingAllIn,
		},
		{
			name:  "TLS 1.3 without client certificates",
			flags: func(s *site) []string { return flags(s.clientTLS(), s.peerMTLS(), "--tls-min-version=TLS1.3") },
			want:  lettingAllIn,
		},
		{
			name: "auto TLS",
			flags: func(s *site) []string {
				return flags(s.clientURLs("https://"+s.client, "https://"+s.client), "--auto-tls", s.peerMTLS())
			},
			want: merged(lettingAllIn, map[string]string{
				// The given CA did not sign what etcd made for itself.
				"client/version-vulnerable": "pass",
			}),
		},
		{
			// client-cert-auth is off by its flag, and on by its effect.
			name: "trusted CA without client-cert-auth",
			flags: func(s *site) []string {
				return flags(s.clientTLS(), "--trusted-ca-file="+s.path("ca.crt"), s.peerTLS())
			},
		},
		{
			name:      "client-cert-auth without a trusted CA",
			anonymous: true,
			flags:     func(s *site) []string { return flags(s.clientTLS(), "--client-cert-auth", s.peerMTLS()) },
			want:      noCredentials,
		},
		{
			name: "one CA for clients and peers", everyVersion: true,
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerSharedCA()) },
			want:  map[string]string{"peer/peer-accepts-client-cert": "fail accepted"},
		},
		{
			name: "one CA, TLS 1.3, peers by name",
			flags: func(s *site) []string {
				return flags(s.clientMTLS(), s.peerSharedCA(), "--peer-cert-allowed-cn=m0", "--tls-min-version=TLS1.3")
			},
		},
		{
			// etcd closes the connection without an alert when the SANs are not the caller's.
			name: "one CA, client with the SANs of elsewhere",
			prepare: func(t *testing.T, s *site) {
				t.Helper()
				s.given = newLeaf(t, s.clientCA, pki.LeafTemplate{CommonName: "auditor", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(192, 0, 2, 1)}})
			},
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerSharedCA()) },
			want:  map[string]string{"peer/peer-accepts-client-cert": "unknown --peer-trusted-ca-file"},
		},
		{
			name:  "peer plaintext",
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerURLs("http")) },
			want: map[string]string{
				"client/member-url-plaintext":   "fail m0-peer",
				"peer/peer-plaintext":           "fail http1",
				"peer/peer-cert-required":       "fail plaintext",
				"peer/peer-accepts-client-cert": "fail plaintext",
				"peer/tls-version-min":          "skip no TLS",
				"peer/cert-expiry":              "skip no TLS",
				"peer/cert-san-mismatch":        "skip no TLS",
			},
		},
		{
			name:  "peer auto TLS",
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerURLs("https"), "--peer-auto-tls") },
			want: map[string]string{
				"peer/peer-cert-required":       "fail not-requested",
				"peer/peer-accepts-client-cert": "fail no-certificate",
			},
		},
		{
			name: "pprof", everyVersion: true,
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS(), "--enable-pprof") },
			want:  map[string]string{"client/debug-exposed": "fail pprof"},
		},
		{
			name:  "debug log",
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS(), "--log-level=debug") },
			want:  map[string]string{"client/debug-exposed": "fail pprof,requests"},
		},
		{
			name: "expired server certificate",
			prepare: func(t *testing.T, s *site) {
				t.Helper()
				s.serve(t, pki.LeafTemplate{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: s.now.Add(-time.Hour)})
			},
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS()) },
			want: map[string]string{
				"client/cert-expiry":          "fail leaf-expired",
				"client/debug-exposed":        "unknown --cacert",
				"client/member-url-plaintext": "unknown --cacert",
				"client/version-vulnerable":   "unknown --cacert",
			},
		},
		{
			name: "server certificate that is due",
			prepare: func(t *testing.T, s *site) {
				t.Helper()
				s.serve(t, pki.LeafTemplate{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: s.now.Add(6 * 24 * time.Hour)})
			},
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS()) },
			want:  map[string]string{"client/cert-expiry": "fail leaf-due"},
		},
		{
			name: "wrong SAN",
			prepare: func(t *testing.T, s *site) {
				t.Helper()
				s.serve(t, pki.LeafTemplate{DNSNames: []string{"etcd.example.internal"}})
			},
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS()) },
			want:  map[string]string{"client/cert-san-mismatch": "fail 127.0.0.1"},
		},
		{
			name: "client of another CA",
			prepare: func(t *testing.T, s *site) {
				t.Helper()
				s.given = newLeaf(t, s.peerCA, pki.LeafTemplate{CommonName: "auditor", EKUs: bothEKUs})
			},
			flags: func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS()) },
			want: map[string]string{
				"client/debug-exposed":          "unknown TLS alert",
				"client/member-url-plaintext":   "unknown TLS alert",
				"client/version-vulnerable":     "unknown TLS alert",
				"peer/peer-accepts-client-cert": "fail accepted",
			},
		},
		{
			name: "HTTP on a port of its own",
			flags: func(s *site) []string {
				return flags(s.clientMTLS(), s.peerMTLS(), "--listen-client-http-urls=https://127.0.0.1:0")
			},
			want: map[string]string{"client/debug-exposed": "unknown GET"},
		},
	}
}

// flags joins flags and lists of flags; of a flag that is given twice, etcd takes the last.
func flags(parts ...any) []string {
	var all []string
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, part)
		case []string:
			all = append(all, part...)
		}
	}
	return all
}

func merged(a, b map[string]string) map[string]string {
	c := maps.Clone(a)
	maps.Copy(c, b)
	return c
}

func TestRealEtcd(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		for _, c := range matrix() {
			if version != etcdtest.V3_6 && !c.everyVersion {
				continue
			}
			t.Run(version+"/"+c.name, func(t *testing.T) {
				s := newSite(t)
				if c.prepare != nil {
					c.prepare(t, s)
				}
				s.start(t, version, c.flags(s))
				credentials := s.credentials()
				if c.anonymous {
					credentials = collect.Credentials{}
				}
				compare(t, runAudit(t, s.endpoints(c.minTLS), credentials), c.want)
			})
		}
	}
}

func compare(t *testing.T, report audit.Report, want map[string]string) {
	t.Helper()
	unused := maps.Clone(want)
	for _, r := range report.Results {
		key := string(r.Kind) + "/" + r.CheckID
		wanted, special := want[key]
		delete(unused, key)
		if !special {
			if r.Verdict != audit.Pass && (r.Kind != audit.Metrics || r.Verdict != audit.Skip) {
				t.Errorf("%s: %s %v %s", key, r.Verdict, r.Codes, r.Evidence)
			}
			continue
		}
		verdict, detail, _ := strings.Cut(wanted, " ")
		got := r.Evidence
		matches := strings.Contains(got, detail)
		if r.Verdict == audit.Fail {
			got = strings.Join(r.Codes, ",")
			matches = got == detail
		}
		if string(r.Verdict) != verdict || !matches {
			t.Errorf("%s: %s %q, want %q (%s)", key, r.Verdict, got, wanted, r.Evidence)
		}
	}
	if len(unused) > 0 {
		t.Errorf("no result for %v", slices.Sorted(maps.Keys(unused)))
	}
}
