package config

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientTLS finds client listeners whose settings give them no TLS.
func ClientTLS() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-client-tls",
		Title:    "Not all client listeners are configured for TLS",
		Severity: audit.Critical,
		Rationale: "Everything that Kubernetes stores crosses the client port. --cert-file and --key-file have no effect on a " +
			"listener whose URL is http:// or unix://, even if the same port also has an https:// URL.",
		Method: "Works out the effective client URLs and certificate from flags, environment and configuration file by etcd's " +
			"own rules, including its defaults.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set a certificate and remove every http:// and unix:// URL, then restart the member:"),
				audit.Paste("--listen-client-urls=https://%s --cert-file=server.crt --key-file=server.key", p.Client()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.1", "CIS Kubernetes Benchmark v2.0.1 2.1", "STIG V-242427", "STIG V-242428", "NIST 800-53 SC-8", "NIST 800-53 SC-8(1)", "PCI DSS 4.0.1 2.2.7", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Run:        lowerForSockets(askEtcd(clientSide().checkPlaintextURLs, clientSide().checkServerCertificate)),
	})
}

// checkPlaintextURLs checks whether a listener of the side has no TLS.
func (s side) checkPlaintextURLs(r *reading) {
	plaintext := false
	for _, l := range s.listeners(r) {
		if !l.plaintext() {
			continue
		}
		plaintext = true
		switch {
		case l.onSocket():
			s.addFindingOn(r, l, onSocketCode, fmt.Sprintf("etcd answers on the socket %s without TLS and without a certificate, to every user who may write to its file: %s", l.url, r.describe(s.flagOf(l))))
		case l.loopback():
			s.addFindingOn(r, l, "plaintext-loopback", fmt.Sprintf("etcd listens in plaintext on %s, for every process of the host: %s", l.url, r.describe(s.flagOf(l))))
		default:
			s.addFindingOn(r, l, "plaintext", fmt.Sprintf("etcd listens in plaintext on %s: %s", l.url, r.describe(s.flagOf(l))))
		}
	}
	if !plaintext {
		r.addEvidence(fmt.Sprintf("no %s URL is http:// or unix:// (%s)", s.kind, r.describe(s.listen)))
	}
}

// onSocketCode is the code of a socket without TLS, in every check that finds one.
const onSocketCode = "plaintext-socket"

// lowerForSockets lowers the severity if all findings are about sockets: the mode of a socket's file
// keeps other users out, but nothing keeps them from a port.
func lowerForSockets(run func(*audit.HostSettings) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return func(t *audit.HostSettings) audit.Outcome {
		return withWorstSeverity(run(t), func(code string) audit.Severity {
			if code == onSocketCode {
				return audit.High
			}
			return audit.Critical
		})
	}
}

// addFindingOn adds a finding about a listener that etcd starts, or may start.
func (s side) addFindingOn(r *reading, l listener, code, text string) {
	if l.mayNotStart {
		r.addFinding(code, text)
		return
	}
	r.addFindingIn(s.flagOf(l), code, text)
}

func (s side) flagOf(l listener) string {
	if l.httpOnly {
		return "listen-client-http-urls"
	}
	return s.listen
}

// checkServerCertificate checks which certificate the listeners with TLS serve.
func (s side) checkServerCertificate(r *reading) {
	if !anyTLS(s.listeners(r)) {
		return
	}
	cert, key := s.flag("cert-file"), s.flag("key-file")
	switch s.certificate(r) {
	case fromFiles:
		r.addEvidence(r.describe(cert) + ", " + r.describe(key))
	case generated:
		r.addEvidence("etcd generates its certificate (" + r.describe(s.flag("auto-tls")) + ")")
	case halfPair:
		r.addFinding("half-pair", "etcd does not start: "+r.describe(cert)+", "+r.describe(key))
	case noCertificate:
		r.addFinding("no-certificate", "etcd does not start: there is an https:// URL, and "+r.describe(cert)+", "+r.describe(key))
	}
}
