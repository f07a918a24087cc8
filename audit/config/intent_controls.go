package config

import (
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// controls returns the controls of a kind of listener.
func controls(kind audit.Kind) []control {
	minTLS := control{code: "min-tls", severity: audit.Medium, arises: (*port).speaksTLS, flags: (*port).lowestVersion, rules: (*port).lowestVersion, wire: (*port).agreedVersion}
	if kind == audit.Metrics {
		return []control{
			{code: "metrics", severity: audit.Medium, flags: (*port).metricsByURL, rules: (*port).metricsByRules, wire: (*port).metricsSeen},
			minTLS,
		}
	}
	all := []control{
		{code: "tls", severity: audit.Critical, flags: (*port).tlsByFlags, rules: (*port).tlsByRules, wire: (*port).tlsSeen},
		{code: "plaintext", severity: audit.Critical, arises: (*port).speaksTLS, flags: (*port).tlsByFlags, rules: (*port).plaintextByRules, wire: (*port).plaintextSeen},
		{code: string(kind) + "-cert", severity: audit.Critical, flags: (*port).certByFlags, rules: (*port).certByRules, wire: (*port).certSeen},
		{code: string(kind) + "-ca", severity: audit.Critical, arises: (*port).asksForCertificate, flags: (*port).caByFlags, rules: (*port).caByRules, wire: (*port).caSeen},
		minTLS,
	}
	if kind == audit.Client {
		all = append(all, control{code: "pprof", severity: audit.High, arises: (*port).servesPages, flags: (*port).pprofByFlags, rules: (*port).pprofByRules, wire: (*port).pprofSeen})
	}
	return all
}

func (p *port) anonymous() audit.Handshake { return p.target.Handshake(audit.NoCertificate) }

func (p *port) speaksTLS() bool          { return p.anonymous().SpokeTLS }
func (p *port) asksForCertificate() bool { return p.anonymous().CertificateRequested }

// servesPages reports whether the port can serve pages. A port that speaks only gRPC has none.
func (p *port) servesPages() bool { return !p.grpcOnly }

// TLS at all.

func (p *port) tlsByFlags() sight {
	cert, key, auto := p.side.flag("cert-file"), p.side.flag("key-file"), p.side.flag("auto-tls")
	if p.looksSet(cert) && p.looksSet(key) {
		return closedSight(p.describe(cert) + ", " + p.describe(key))
	}
	if p.enabled(auto) {
		return closedSight(p.describe(auto))
	}
	return openSight(p.describe(cert) + ", " + p.describe(key))
}

// looksSet reports whether a setting was made, even if it has no effect. A benchmark that reads the
// command line of an etcd with a configuration file sees it.
func (p *port) looksSet(flag string) bool {
	return p.value(flag) != "" || p.settings.Values[flag].WrittenAsFlag()
}

func (p *port) tlsByRules() sight {
	if !anyTLS(p.listeners) {
		url, _ := p.plaintextURL()
		return openSight("the URL is " + url)
	}
	switch p.side.certificate(p.reading) {
	case fromFiles, generated:
		return closedSight("there is an https:// URL and a certificate")
	default:
		return openSight("the certificate or its key is missing, and etcd does not start")
	}
}

func (p *port) tlsSeen() sight {
	switch {
	case p.speaksTLS():
		return closedSight("the port speaks TLS")
	case p.target.HasNoTLS():
		return openSight("the port speaks plaintext only" + p.plaintextAnswer())
	default:
		p.addDoubt("TLS handshake: " + p.anonymous().Reason)
		return sight{}
	}
}

func (p *port) plaintextAnswer() string {
	if page := p.target.Plaintext; page.State == audit.Answered {
		return fmt.Sprintf(": GET %s without TLS got HTTP status %d", page.Path, page.Status)
	}
	return ": a gRPC call without TLS was answered"
}

// Plaintext beside TLS.

func (p *port) plaintextByRules() sight {
	if url, found := p.plaintextURL(); found {
		return openSight("there is also the URL " + url)
	}
	return closedSight("no URL of the port is http://")
}

func (p *port) plaintextSeen() sight {
	call := p.target.RPC(audit.InPlaintext, audit.RangeRPC)
	switch {
	case p.target.AnswersPlaintext():
		return openSight("the port speaks TLS and plaintext" + p.plaintextAnswer())
	case p.target.Plaintext.State == audit.Unclear || p.target.Plaintext.State == audit.Untried:
		p.addDoubt("plaintext: " + p.target.Plaintext.Reason)
	case call.State == audit.Unclear:
		p.addDoubt("gRPC in plaintext: " + call.Reason)
	}
	return closedSight("the port does not answer plaintext")
}

// A certificate that is required, and of which CA.

func (p *port) certByFlags() sight {
	auth := p.side.flag("client-cert-auth")
	setting := p.settings.Values[auth]
	switchedOn := slices.ContainsFunc(setting.Overridden, func(o audit.Override) bool { return o.Flag && o.Value == "true" })
	if p.enabled(auth) || setting.Value == "" && switchedOn {
		return closedSight(p.describe(auth))
	}
	return openSight(p.describe(auth))
}

func (p *port) certByRules() sight {
	if url, found := p.plaintextURL(); found {
		return openSight("there is no TLS on " + url)
	}
	ca, auto := p.side.flag("trusted-ca-file"), p.side.flag("auto-tls")
	switch p.side.demand(p.reading) {
	case fromTrustedCA:
		return closedSight(p.describe(ca) + ", which is enough to require certificates")
	case fromSystemRoots:
		return closedSight(p.describe(p.side.flag("client-cert-auth")))
	case nothingForAuto:
		return openSight(p.describe(auto) + ", so etcd asks for none")
	default:
		return openSight("no setting requires one")
	}
}

func (p *port) certSeen() sight {
	if p.target.AnswersPlaintext() {
		return openSight("the port answers without TLS" + p.plaintextAnswer())
	}
	switch o := p.target.Admits(audit.NoCertificate); o.Verdict {
	case audit.Pass:
		return closedSight(o.Evidence)
	case audit.Fail:
		return openSight("the port lets a caller in without a certificate")
	default:
		p.addDoubt(o.Evidence)
		return sight{}
	}
}

func (p *port) caByFlags() sight {
	if o := p.certByFlags(); !o.open {
		return o
	}
	ca := p.side.flag("trusted-ca-file")
	if p.looksSet(ca) {
		return closedSight(p.describe(ca))
	}
	return openSight(p.describe(ca))
}

func (p *port) caByRules() sight {
	ca := p.side.flag("trusted-ca-file")
	if p.side.demand(p.reading) == fromTrustedCA {
		return closedSight(p.describe(ca))
	}
	return openSight(p.describe(ca) + ", so etcd trusts the CAs of the operating system")
}

func (p *port) caSeen() sight {
	if named := len(p.anonymous().AcceptableCAs); named > 0 {
		return closedSight(fmt.Sprintf("the port names the CAs that it trusts (%d)", named))
	}
	return openSight("the port asks for a certificate and names no CA, as if it trusted the CAs of the operating system")
}

// The lowest version of TLS. Flags and rules give the same answer.

func (p *port) lowestVersion() sight {
	text := p.describe("tls-min-version")
	if lowestTLS(p.reading) < tls.VersionTLS13 {
		return openSight(text)
	}
	return closedSight(text)
}

func (p *port) agreedVersion() sight {
	switch h := p.target.HandshakeUpTo(tls.VersionTLS12); {
	case h.Version != 0:
		return openSight("the port accepts " + tls.VersionName(h.Version))
	case h.State == audit.Refused && h.Alert == audit.ProtocolVersion:
		return closedSight("the port refuses TLS 1.2: " + h.Reason)
	default:
		p.addDoubt("a handshake up to TLS 1.2: " + h.Reason)
		return sight{}
	}
}

// Profiling.

func (p *port) pprofByFlags() sight {
	text := p.describe("enable-pprof")
	if p.enabled("enable-pprof") {
		return openSight(text)
	}
	return closedSight(text)
}

func (p *port) pprofByRules() sight {
	o := ask(p.settings, checkPprof, checkDebug)
	switch o.Verdict {
	case audit.Fail:
		return openSight(o.Findings[0].Text)
	case audit.Unknown:
		p.addDoubt(o.Evidence)
		return sight{}
	default:
		return closedSight("no setting serves profiles")
	}
}

func (p *port) pprofSeen() sight {
	const path = "/debug/pprof/"
	var refused, reason, doubt string
	for _, access := range append(audit.Anonymous(), audit.WithCredentials) {
		page := p.target.Page(access, path)
		switch {
		case page.Exposed():
			return openSight(page.Answer())
		case page.Withheld():
			refused = page.Answer()
		case page.State == audit.Answered:
			doubt = page.Answer()
		case page.Reason != "":
			reason = page.Reason
		}
	}
	switch {
	case doubt != "":
		p.addDoubt(doubt)
	case refused == "":
		if reason == "" {
			reason = "add --cacert, --cert and --key of a client of etcd"
		}
		p.addDoubt("the port asks for a client certificate before it serves pages: " + reason)
	}
	return closedSight(refused)
}

// Metrics on a listener of their own.

func (p *port) metricsByURL() sight {
	url := "listen-metrics-urls"
	if slices.ContainsFunc(p.listeners, func(l listener) bool { return !l.loopback() && !l.tls() }) {
		return openSight(p.describe(url))
	}
	return closedSight(p.describe(url))
}

// metricsByRules returns how etcd protects the metrics. A listener with TLS has the client's settings
// (server/embed/etcd.go, createMetricsListener).
func (p *port) metricsByRules() sight {
	if o := p.metricsByURL(); o.open || p.loopbackOnly() {
		return o
	}
	if d := p.side.demand(p.reading); d == nothing || d == nothingForAuto {
		return openSight("TLS that requires no client certificate")
	}
	return closedSight("TLS that requires a client certificate")
}

func (p *port) loopbackOnly() bool {
	return !slices.ContainsFunc(p.listeners, func(l listener) bool { return !l.loopback() })
}

func (p *port) metricsSeen() sight {
	const path = "/metrics"
	for _, access := range audit.Anonymous() {
		page := p.target.Page(access, path)
		if !page.Exposed() {
			continue
		}
		text := page.Answer()
		if p.target.Socket != "" || p.loopbackOnly() && p.target.RemoteIP.IsLoopback() {
			return closedSight("loopback only: " + text)
		}
		return openSight(text)
	}
	switch anonymous := p.anonymous(); {
	case p.target.AnswersPlaintext():
		return p.pageSeen(audit.InPlaintext, path)
	case anonymous.State == audit.Answered:
		return p.pageSeen(audit.WithoutCertificate, path)
	}
	o := p.target.Admits(audit.NoCertificate)
	if o.Verdict == audit.Unknown {
		p.addDoubt(o.Evidence)
	}
	return closedSight(o.Evidence)
}

func (p *port) pageSeen(access audit.Access, path string) sight {
	page := p.target.Page(access, path)
	if !page.Withheld() {
		p.addDoubt(page.Answer())
	}
	return closedSight(page.Answer())
}
