package config

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientCertAuth finds client listeners whose settings do not require a certificate of etcd's own
// client CA.
func ClientCertAuth() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-client-cert-auth",
		Title:    "etcd is not configured to require client certificates of its CA",
		Severity: audit.Critical,
		Rationale: "In Kubernetes the client certificate is etcd's only authentication. --trusted-ca-file alone makes it " +
			"required; --client-cert-auth without it accepts every certificate of a CA that the operating system trusts.",
		Method: "Works out how etcd interprets the effective settings: --trusted-ca-file, --client-cert-auth, --auto-tls, " +
			"which disables both, and the schemes of the client URLs.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the client CA, and restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt --cert-file=server.crt --key-file=server.key"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "STIG V-242423", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "NIST 800-53 IA-5(2)", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Run:        lowerForSockets(askEtcd(clientSide().checkOpenURLs, clientSide().checkRequired)),
	})
}

// checkOpenURLs checks whether a listener has no TLS, so that it cannot ask for a certificate.
func (s side) checkOpenURLs(r *reading) {
	for _, l := range s.listeners(r) {
		if l.plaintext() {
			code := "plaintext"
			if l.onSocket() {
				code = onSocketCode
			}
			s.addFindingOn(r, l, code, fmt.Sprintf("%s has no TLS, so no caller needs a certificate: %s", l.url, r.describe(s.flagOf(l))))
		}
	}
}

// checkRequired checks which certificate the listeners with TLS require.
func (s side) checkRequired(r *reading) {
	if !anyTLS(s.listeners(r)) {
		return
	}
	auth, ca, auto := s.flag("client-cert-auth"), s.flag("trusted-ca-file"), s.flag("auto-tls")
	switch s.demand(r) {
	case fromTrustedCA:
		if r.settings.Enabled(auth) {
			r.addEvidence("certificates are required: " + r.describe(ca) + ", " + r.describe(auth))
		} else {
			r.addEvidence("certificates are required, only by " + r.describe(ca) + " (" + r.describe(auth) + ")")
		}
	case fromSystemRoots:
		r.addFinding("system-roots", "etcd trusts every CA of the operating system: "+r.describe(auth)+", and "+r.describe(ca))
	case nothingForAuto:
		r.addFinding("auto-tls", fmt.Sprintf("etcd requires no certificate: %s, so it ignores --%s and --%s", r.describe(auto), auth, ca))
	case nothing:
		r.addFinding("not-required", "etcd requires no certificate: "+r.describe(ca)+", "+r.describe(auth))
	}
}
