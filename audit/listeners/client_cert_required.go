package listeners

import "github.com/etcdsec/etcdsec/audit"

// ClientCertRequired finds a client port that lets callers in without a certificate.
func ClientCertRequired() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-cert-required",
		Title:    "The client port requires no client certificate",
		Severity: audit.Critical,
		Rationale: "TLS alone hides the traffic but lets everybody in. In Kubernetes the client certificate is etcd's only " +
			"authentication.",
		Method: "Makes a TLS handshake without a certificate and waits for the server's first answer or alert after it: with " +
			"TLS 1.3 the refusal comes after the handshake.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the client CA, and restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "STIG V-242423", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "NIST 800-53 IA-5(2)", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run:        func(t *audit.Listener) audit.Outcome { return judgeCertRequired(t) },
	})
}

// judgeCertRequired judges whether the port lets a caller in without a certificate.
func judgeCertRequired(t *audit.Listener) audit.Outcome {
	if t.AnswersPlaintext() {
		return audit.Failed(audit.Finding{Code: "plaintext", Text: "the port answers without TLS, so no caller needs a certificate"})
	}
	o := t.Admits(audit.NoCertificate)
	if o.Verdict != audit.Fail {
		return o
	}
	admitted, _ := t.Admitted(audit.NoCertificate)
	return audit.Failed(admittedFinding(admitted))
}

func admittedFinding(h audit.Handshake) audit.Finding {
	if h.CertificateRequested {
		return audit.Finding{Code: "optional", Text: "the server asks for a certificate but continues without one"}
	}
	return audit.Finding{Code: "not-requested", Text: "the server asks for no certificate"}
}
