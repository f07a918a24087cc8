package listeners

import "github.com/etcdsec/etcdsec/audit"

// ClientForeignCA finds a client port that accepts a certificate of an unknown CA.
func ClientForeignCA() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-foreign-ca",
		Title:    "The client port accepts a certificate of a foreign CA",
		Severity: audit.Critical,
		Rationale: "A certificate proves nothing if any CA may have signed it: everybody can issue one. If the server compares " +
			"only the name of a trusted CA, anybody can imitate that CA.",
		Method: "Presents a certificate of a CA that the audit just made in memory, and one of a CA with the same name as the " +
			"CA that the server says it trusts.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Trust the client CA only, and require its certificates; restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "CIS Kubernetes Benchmark v1.12 2.7", "CIS Kubernetes Benchmark v2.0.1 2.7", "STIG V-242423", "NIST 800-53 IA-5(2)", "NIST 800-53 SC-17", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome { return judgeForeignCA(t, h) })
		},
	})
}

// judgeForeignCA judges whether the port accepts a certificate that nobody should trust.
func judgeForeignCA(t *audit.Listener, anonymous audit.Handshake) audit.Outcome {
	if anonymous.State == audit.Answered && !anonymous.CertificateRequested {
		return audit.Failed(audit.Finding{Code: "not-requested", Text: "the server asks for no certificate, so a foreign one works too"})
	}
	var findings []audit.Finding
	var passed string
	for _, identity := range []audit.Identity{audit.ForeignCA, audit.ForeignCASameName} {
		if identity == audit.ForeignCASameName && len(anonymous.AcceptableCAs) == 0 {
			continue // the server names no CA that could be imitated
		}
		o := t.Admits(identity)
		switch o.Verdict {
		case audit.Fail:
			code := "foreign-ca"
			if identity == audit.ForeignCASameName {
				code = "same-name-ca"
			}
			findings = append(findings, audit.Finding{Code: code, Text: string(identity) + " is let in"})
		case audit.Pass:
			passed = joinEvidence(passed, o.Evidence)
		default:
			if len(findings) == 0 {
				return o
			}
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed(passed)
}

func joinEvidence(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
