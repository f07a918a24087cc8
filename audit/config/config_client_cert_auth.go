package config

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientCertAuth finds client listeners that are not set up to require a certificate
// of a CA of their own.
func ClientCertAuth() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-client-cert-auth",
		Title:    "Clients are not set up to need a certificate of a CA of etcd",
		Severity: audit.Critical,
		Rationale: "In Kubernetes the client certificate is etcd's only authentication. --trusted-ca-file alone makes it " +
			"required; --client-cert-auth without it lets in every certificate of a CA that the operating system trusts.",
		Method: "Works out from the effective settings what etcd makes of them: from --trusted-ca-file, --client-cert-auth, " +
			"--auto-tls, which drops both, and the schemes of the client URLs.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the client CA, and restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt --cert-file=server.crt --key-file=server.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "STIG V-242423", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "NIST 800-53 IA-5(2)", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Run:        socketsWorthLess(askEtcd(clientSide().openURLs, clientSide().required)),
	})
}

// openURLs asks whether a listener has no TLS, on which no certificate can be asked for.
func (s side) openURLs(r *reading) {
	for _, l := range s.listeners(r) {
		if l.plaintext() {
			code := "plaintext"
			if l.onSocket() {
				code = onSocketCode
			}
			s.foundOn(r, l, code, fmt.Sprintf("%s has no TLS, so no caller needs a certificate: %s", l.url, r.written(s.flagOf(l))))
		}
	}
}

// required asks what the listeners with TLS want of a caller.
func (s side) required(r *reading) {
	if !anyTLS(s.listeners(r)) {
		return
	}
	auth, ca, auto := s.flag("client-cert-auth"), s.flag("trusted-ca-file"), s.flag("auto-tls")
	switch s.demand(r) {
	case fromTrustedCA:
		if r.settings.Enabled(auth) {
			r.saw("certificates are required: " + r.written(ca) + ", " + r.written(auth))
		} else {
			r.saw("certificates are required, by " + r.written(ca) + " alone (" + r.written(auth) + ")")
		}
	case fromSystemRoots:
		r.found("system-roots", "etcd trusts every CA of the operating system: "+r.written(auth)+", and "+r.written(ca))
	case nothingForAuto:
		r.found("auto-tls", fmt.Sprintf("etcd requires no certificate: %s, with which it leaves --%s and --%s out", r.written(auto), auth, ca))
	case nothing:
		r.found("not-required", "etcd requires no certificate: "+r.written(ca)+", "+r.written(auth))
	}
}
