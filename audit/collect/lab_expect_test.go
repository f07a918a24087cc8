package collect_test

import (
	"strings"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// The verdicts are written down from etcd's documentation and source, as facts about a
// setup; nothing here looks at what the audit says. A verdict is "pass", "skip", "unknown",
// or "fail" with its codes.

func (s setup) older(branch string) bool { // than 3.x
	return s.version[:3] < branch
}

// Facts about the client port.

func (s setup) plaintext() bool { return s.client == "plain" || s.client == "both" }
func (s setup) tlsPort() bool   { return s.client != "plain" }

// requests: a trusted CA file alone makes etcd require certificates (client/pkg/transport/listener.go).
func (s setup) requests() bool {
	return s.client == "" || s.client == "both" || s.client == "trusted-only" || s.client == "system-roots"
}

func (s setup) knowsCA() bool { return s.requests() && s.client != "system-roots" }

// givenIn: the given certificate gets past the verification of a port that asks for one.
func (s setup) givenIn() bool { return s.knowsCA() && s.given != "peer-ca" && !s.lockedOut() }

// lockedOut: since 3.6 a CRL in PEM cannot be read, and then nobody is let in.
func (s setup) lockedOut() bool { return s.crl == "pem" && !s.older("3.6") && s.requests() }

// verifiable: the given CAs vouch for what the port serves.
func (s setup) verifiable() bool {
	return s.client != "auto-tls" && s.cert != "expired" && !s.served().unverified
}

// tellsApart: the alert for a CA that is not known differs from that for another fault of
// the certificate (since Go 1.21), or the given certificate shows that the CA is known.
func (s setup) tellsApart() bool {
	return !s.older("3.5") || !s.anonymous && s.givenIn()
}

// credentialed: the given certificate gets in and may be used there.
func (s setup) credentialed() bool {
	return !s.anonymous && s.tlsPort() && s.verifiable() && (!s.requests() || s.givenIn())
}

// readable: somebody gets in, so the pages and calls can be asked for.
func (s setup) readable() bool {
	return s.plaintext() || (s.tlsPort() && !s.requests()) || s.credentialed()
}

// everybody: the ones without credentials get in.
func (s setup) everybody() bool { return s.plaintext() || (s.tlsPort() && !s.requests()) }

func when(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func fails(codes ...string) string {
	var set []string
	for _, code := range codes {
		if code != "" {
			set = append(set, code)
		}
	}
	return "fail " + strings.Join(set, ",")
}

// expectation is the verdict of every check on every listener, by "kind/check".
func (s setup) expectation() map[string]string {
	want := map[string]string{}
	s.expectClient(want)
	s.expectPages(want)
	s.expectPeer(want)
	s.expectMetrics(want)
	s.expectTLS(want)
	s.expectCertificates(want)
	s.expectCluster(want)
	s.expectMember(want)
	s.expectAccess(want)
	if s.split != "" {
		s.expectHTTP(want)
	}
	for key, verdict := range s.served().want {
		if _, asked := want[key]; asked {
			want[key] = verdict
		}
	}
	return want
}

func (s setup) expectClient(want map[string]string) {
	noTLS := func(verdict string) string { return when(s.tlsPort(), verdict, "skip") }
	// The port answers in gRPC everywhere, and in HTTP where that has no listener of its own.
	want["client/client-plaintext"] = when(s.plaintext(), fails("h2c", when(s.split == "", "http1", "")), "pass")
	gateway := s.gateway && s.split == ""
	want["client/client-anonymous-read"] = when(s.everybody() && s.rbac == "",
		fails(when(gateway, when(s.plaintext(), "gateway-http", "gateway-tls"), ""), when(s.plaintext(), "h2c", "tls")), "pass")
	want["client/client-cert-required"] = when(s.plaintext(), "fail plaintext", when(s.requests(), "pass", "fail not-requested"))
	want["client/client-foreign-ca"] = noTLS(when(s.requests(), "pass", "fail not-requested"))
	want["client/client-expired-cert"] = noTLS(when(!s.requests(), "fail not-requested", when(s.tellsApart(), "pass", "skip")))
	// What is presented is of a CA that a port with the system's roots does not know.
	want["client/client-wrong-eku"] = noTLS(when(!s.requests(), "fail not-requested", when(s.knowsCA() && s.tellsApart(), "pass", "skip")))
	want["client/client-revoked-cert"] = noTLS(s.revoked())
	want["client/client-system-roots"] = noTLS(when(s.client == "system-roots", "fail no-names", when(s.requests(), "pass", "skip")))
	want["client/tls-version-min"] = noTLS(s.minVersion())
	want["client/cert-expiry"] = noTLS(s.expiry())
	want["client/cert-san-mismatch"] = noTLS(when(s.cert == "misnamed" && s.client != "auto-tls", "fail 127.0.0.1", "pass"))
	want["client/browser-reachable"] = when(!s.plaintext() || s.whitelist, "pass", "fail any-host,any-origin")

	want["client/version-eol"] = when(!s.readable(), "unknown", when(s.older("3.5"), "fail end-of-life", "pass"))
	want["client/version-vulnerable"] = when(!s.readable(), "unknown", s.advisories())
	members := fails(when(s.client == "plain", "m0-client", ""), when(s.peer == "plain", "m0-peer", ""))
	want["client/member-url-plaintext"] = when(!s.listed(), "unknown", when(members == "fail ", "pass", members))
}

func (s setup) advisories() string {
	switch {
	case s.version == etcdtest.Vulnerable:
		return fails("CVE-2026-33186", "CVE-2026-33343", "CVE-2026-33413", "CVE-2026-44283", "CVE-2026-73499", "CVE-2026-73500", "GHSA-3wh4-j44w-pg92", "GHSA-hrxh-6v49-42gf")
	case s.older("3.5"): // as Debian 12 has it, 3.4.23
		return fails("CVE-2021-28235", "CVE-2023-32082", "CVE-2023-44487", "CVE-2026-33186", "CVE-2026-33343", "CVE-2026-33413",
			"CVE-2026-44283", "CVE-2026-73499", "CVE-2026-73500", "GHSA-hrxh-6v49-42gf")
	default:
		return "pass"
	}
}

func (s setup) revoked() string {
	switch {
	case !s.requests():
		return "fail not-requested"
	case !s.knowsCA():
		return "skip"
	case s.crl == "", s.version == etcdtest.Vulnerable && s.split != "":
		return "fail accepted"
	case s.anonymous || !s.givenIn():
		return "unknown" // closed without a word, and nobody is seen to get in
	default:
		return "pass"
	}
}

// minVersion: etcd agrees to TLS 1.2 unless it is told otherwise.
func (s setup) minVersion() string { return when(s.want13 && s.tls != "1.3", "fail tls1.2", "pass") }

func (s setup) expiry() string {
	switch {
	case s.client == "auto-tls":
		return "pass"
	case s.cert == "expired":
		return "fail leaf-expired"
	case s.cert == "due":
		return "fail leaf-due"
	default:
		return "pass"
	}
}

// expectPages are the checks that ask for pages, which a listener of its own may have.
func (s setup) expectPages(want map[string]string) {
	page := func(verdict string) string {
		switch {
		case !s.readable():
			return "unknown"
		case s.split != "":
			return "skip"
		default:
			return verdict
		}
	}
	want["client/gateway-enabled"] = page(when(s.gateway, "fail gateway", "pass"))
	want["client/v2-api-enabled"] = page(when(s.v2, "fail v2", "pass"))
	// A debug log switches profiling and traces on since 3.5.
	debugLog := s.pprof == "debug-log" && !s.older("3.5")
	debug := fails(when(s.pprof == "flag" || debugLog, "pprof", ""), when(debugLog, "requests", ""), when(s.everybody(), "vars", ""))
	want["client/debug-exposed"] = page(when(debug == "fail ", "pass", debug))
	open := func(verdict string) string { return when(s.split != "" && s.everybody(), "skip", verdict) }
	want["client/metrics-exposed"] = open(when(s.everybody(), "fail client", "pass"))
	want["client/grpc-proxy-exposed"] = open("pass")
}

func (s setup) expectPeer(want map[string]string) {
	plain, anybody := s.peer == "plain", s.peer == "auto-tls"
	noTLS := func(verdict string) string { return when(plain, "skip", verdict) }
	want["peer/peer-plaintext"] = when(plain, "fail http1", "pass")
	want["peer/peer-cert-required"] = when(plain, "fail plaintext", when(anybody, "fail not-requested", "pass"))
	want["peer/peer-foreign-ca"] = noTLS(when(anybody, "fail not-requested", "pass"))
	// A certificate with another name than the one that is allowed gets an alert, which old releases
	// use for a foreign CA too, and no member's certificate is there to compare.
	named := s.peer == "shared-ca-cn" || s.peer == "shared-ca-hostname"
	want["peer/peer-wrong-san"] = noTLS(when(anybody, "fail not-requested", when(s.peer == "skip-san", "fail accepted", when(named && s.older("3.5"), "skip", "pass"))))
	want["peer/tls-version-min"] = noTLS(s.minVersion())
	want["peer/cert-expiry"] = noTLS("pass")
	want["peer/cert-san-mismatch"] = noTLS("pass")
	accepts := "pass"
	switch {
	case plain:
		accepts = "fail plaintext"
	case anybody:
		accepts = "fail no-certificate"
	case s.anonymous:
		accepts = "unknown"
	case s.peer == "shared-ca" && s.given == "elsewhere":
		accepts = "unknown" // closed without a word, because the SANs are not its address
	case s.peer == "" && s.given == "peer-ca", s.peer == "trusted-only" && s.given == "peer-ca", s.peer == "skip-san" && s.given == "peer-ca":
		accepts = "fail accepted"
	case s.peer == "shared-ca":
		accepts = "fail accepted" // the auditor's certificate has no SAN to compare
	}
	want["peer/peer-accepts-client-cert"] = accepts
}

func (s setup) expectMetrics(want map[string]string) {
	tls := when(s.metrics == "tls", "pass", "skip")
	want["metrics/metrics-exposed"] = "pass"
	want["metrics/metrics-plaintext"] = "pass" // on the loopback address
	want["metrics/tls-version-min"] = when(s.metrics == "tls", s.minVersion(), "skip")
	want["metrics/cert-expiry"] = when(s.metrics == "tls", s.expiry(), "skip")
	want["metrics/cert-san-mismatch"] = when(s.metrics == "tls" && s.cert == "misnamed", "fail 127.0.0.1", tls)
}

// expectHTTP is the listener for HTTP alone. Those of https:// have the client port's TLS.
func (s setup) expectHTTP(want map[string]string) {
	plain := s.split == "http"
	tls := setup{version: s.version, crl: s.crl, cert: s.cert, gateway: s.gateway, pprof: s.pprof, v2: s.v2, tls: s.tls, anonymous: s.anonymous}
	if plain {
		tls = setup{version: s.version, client: "plain", gateway: s.gateway, pprof: s.pprof, v2: s.v2}
	}
	same := map[string]string{}
	tls.expectClient(same)
	tls.expectPages(same)
	tls.expectTLS(same)
	tls.expectCertificates(same)
	if !plain && s.version == etcdtest.Vulnerable {
		same["client/client-revoked-cert"] = "pass" // the flaw is of the gRPC port
	}
	for key, verdict := range same {
		if !strings.HasPrefix(key, "client/") {
			continue
		}
		want["http/"+strings.TrimPrefix(key, "client/")] = verdict
	}
	if plain {
		want["http/client-plaintext"] = "fail http1" // and no gRPC
		want["http/client-anonymous-read"] = when(s.gateway, "fail gateway-http", "pass")
	}
	for _, check := range []string{"member-url-plaintext", "db-size", "db-fragmented", "request-latency"} {
		want["http/"+check] = when(tls.readable(), "skip", "unknown") // it has no gRPC
	}
}

// expectTLS returns what the TLS checks say of each listener that has TLS.
func (s setup) expectTLS(want map[string]string) {
	for _, listener := range []struct {
		kind          string
		on, auto, net bool // net: net/http or etcd's own listener, and not grpc-go's alone
	}{
		{"client", s.tlsPort(), s.client == "auto-tls", s.split == ""},
		{"peer", s.peer != "plain", s.peer == "auto-tls", true},
		{"metrics", s.metrics == "tls", false, true},
	} {
		verdict := func(v string) string { return when(listener.on, v, "skip") }
		set := func(check, v string) { want[listener.kind+"/"+check] = verdict(v) }
		// Go's own choice of suites has CBC with SHA-1 (crypto/tls/defaults.go); grpc-go's is one for
		// HTTP/2 (google.golang.org/grpc/credentials/tls.go).
		set("tls-weak-cipher", when(s.tls == "1.3" || s.tls == "aead" || !listener.net,
			"pass", when(listener.kind == "client" && s.served().rsa, when(s.older("3.5"), weakBefore122, weakByDefaultRSA), weakByDefault)))
		set("tls-key-exchange", "pass")
		// Debian 12 builds 3.4.23 with Go 1.19, which knows no hybrid group; the releases here have Go 1.24 or newer.
		set("tls-post-quantum", when(s.tls == "1.2", "fail no-tls1.3", when(s.older("3.5"), "fail no-hybrid-group", "pass")))
		set("tls-auto-cert", when(listener.auto, "fail auto-tls", "pass"))
		set("tls-renegotiation", "pass")
		set("tls-compression", "pass")
	}
}

// expectCertificates returns what the certificates of each listener are worth. What the laboratory
// makes is in order; what etcd makes for itself is not.
func (s setup) expectCertificates(want map[string]string) {
	for _, listener := range []struct {
		kind     string
		on, auto bool
		known    bool // the given CAs have its issuer
	}{
		{"client", s.tlsPort(), s.client == "auto-tls", !s.anonymous},
		{"peer", s.peer != "plain", s.peer == "auto-tls", !s.anonymous && strings.HasPrefix(s.peer, "shared-ca")},
		{"metrics", s.metrics == "tls", false, !s.anonymous},
	} {
		set := func(check, verdict string) { want[listener.kind+"/"+check] = when(listener.on, verdict, "skip") }
		for _, check := range []string{"cert-lifetime", "cert-key-strength", "cert-signature", "cert-zlint"} {
			set(check, "pass")
		}
		// etcd makes itself a CA since 3.6 (client/pkg/transport/listener.go, SelfCert).
		set("cert-eku", when(listener.auto && !s.older("3.6"), "fail ca", "pass"))
		set("cert-chain", when(!listener.auto, "pass", when(listener.kind == "client" && !s.anonymous, "fail not-trusted", "fail self-signed")))
		set("cert-outlives-ca", when(listener.known && !listener.auto, "pass", "skip"))
	}
}

// expectCluster returns what the listeners of one member say together, where they told its cluster.
func (s setup) expectCluster(want map[string]string) {
	if !s.clustered() {
		return
	}
	issued := s.tlsPort() && s.client != "auto-tls" || s.peer != "plain" && s.peer != "auto-tls" || s.metrics == "tls" || s.split == "https"
	trusting := s.requests() || s.peer != "plain" && s.peer != "auto-tls"
	keyed := s.tlsPort() || s.peer != "plain" || s.metrics == "tls"
	want["cluster/ca-unique"] = "skip"
	want["cluster/ca-stale"] = when(trusting, "pass", "skip")
	want["cluster/ca-name-collision"] = when(issued, "pass", "skip")
	want["cluster/cert-shared-key"] = when(keyed, "pass", "skip")
}

// expectMember returns what a member that was just started says of itself.
func (s setup) expectMember(want map[string]string) {
	status := when(s.statusRead(), "pass", "unknown")
	for _, check := range []string{"db-size", "db-fragmented"} {
		want["client/"+check] = status
	}
	if s.split != "" && s.older("3.6") && s.listed() {
		want["client/db-size"] = "unknown" // Status has no quota before 3.6, and the page is elsewhere
	}
	// Of the calls that are answered. The relay takes the connection at once, so the delay is the member's.
	want["client/request-latency"] = when(!s.readable(), "unknown", when(s.slow, "fail slow", "pass"))
	if !s.clustered() {
		return
	}
	listed := when(s.listed(), "pass", "unknown")
	want["cluster/member-count"] = when(s.listed(), "fail single", "unknown")
	want["cluster/member-unhealthy"] = when(s.listed(), status, "unknown")
	want["cluster/member-learner-stuck"] = listed
	want["cluster/member-drift"] = "skip" // there is no other
	want["cluster/version-skew"] = when(s.readable(), "pass", "unknown")
	want["cluster/alarm-active"] = status
	want["cluster/leader-changes"] = "pass" // of whichever listener has the page
	want["cluster/snapshot-age"] = "skip"
}
