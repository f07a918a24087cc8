package config

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientTLS finds client listeners that are not all set up for TLS.
func ClientTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-client-tls",
		Title:    "The client listeners are not all set up for TLS",
		Severity: audit.Critical,
		Rationale: "Everything that Kubernetes stores crosses the client port. --cert-file and --key-file do nothing for a " +
			"listener whose URL is http:// or unix://, also where the same port has an https:// URL.",
		Method: "Works out the effective client URLs and certificate from flags, environment and configuration file by " +
			"etcd's own rules, its defaults included.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set a certificate and leave no http:// or unix:// URL, then restart the member:"),
				audit.Paste("--listen-client-urls=https://%s --cert-file=server.crt --key-file=server.key", p.Client()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.1", "CIS Kubernetes Benchmark v2.0.1 2.1", "STIG V-242427", "STIG V-242428", "NIST 800-53 SC-8", "NIST 800-53 SC-8(1)", "PCI DSS 4.0.1 2.2.7", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Run:        socketsWorthLess(askEtcd(clientSide().plaintextURLs, clientSide().serverCertificate)),
	})
}

// plaintextURLs asks whether a listener of the side has no TLS.
func (s side) plaintextURLs(r *reading) {
	plaintext := false
	for _, l := range s.listeners(r) {
		if !l.plaintext() {
			continue
		}
		plaintext = true
		switch {
		case l.onSocket():
			s.foundOn(r, l, onSocketCode, fmt.Sprintf("etcd answers without TLS and without a certificate on the socket %s, to who may write to its file: %s", l.url, r.written(s.flagOf(l))))
		case l.loopback():
			s.foundOn(r, l, "plaintext-loopback", fmt.Sprintf("etcd listens in plaintext on %s, for every process of the host: %s", l.url, r.written(s.flagOf(l))))
		default:
			s.foundOn(r, l, "plaintext", fmt.Sprintf("etcd listens in plaintext on %s: %s", l.url, r.written(s.flagOf(l))))
		}
	}
	if !plaintext {
		r.saw(fmt.Sprintf("no %s URL is http:// or unix:// (%s)", s.kind, r.written(s.listen)))
	}
}

// onSocketCode is the code of a socket without TLS, in every check that finds one.
const onSocketCode = "plaintext-socket"

// socketsWorthLess gives a finding of sockets alone less severity: their mode still keeps out who
// may not write to the file, as nothing does of a port.
func socketsWorthLess(run func(*audit.HostSettings) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return func(t *audit.HostSettings) audit.Outcome {
		return worth(run(t), func(code string) audit.Severity {
			if code == onSocketCode {
				return audit.High
			}
			return audit.Critical
		})
	}
}

// foundOn notes a finding of a listener that is started.
func (s side) foundOn(r *reading, l listener, code, text string) {
	if l.mayNotStart {
		r.found(code, text)
		return
	}
	r.foundIn(s.flagOf(l), code, text)
}

func (s side) flagOf(l listener) string {
	if l.httpOnly {
		return "listen-client-http-urls"
	}
	return s.listen
}

// serverCertificate asks what certificate the listeners with TLS serve.
func (s side) serverCertificate(r *reading) {
	if !anyTLS(s.listeners(r)) {
		return
	}
	cert, key := s.flag("cert-file"), s.flag("key-file")
	switch s.certificate(r) {
	case fromFiles:
		r.saw(r.written(cert) + ", " + r.written(key))
	case generated:
		r.saw("etcd generates its certificate (" + r.written(s.flag("auto-tls")) + ")")
	case halfPair:
		r.found("half-pair", "etcd does not start: "+r.written(cert)+", "+r.written(key))
	case noCertificate:
		r.found("no-certificate", "etcd does not start: there is an https:// URL, and "+r.written(cert)+", "+r.written(key))
	}
}
