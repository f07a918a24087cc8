package listeners

import (
	"github.com/etcdsec/etcdsec/audit"
)

// ClientExpiredCert finds a client port that accepts a certificate after its end.
func ClientExpiredCert() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-expired-cert",
		Title:    "The client port accepts an expired certificate",
		Severity: audit.High,
		Rationale: "Expiry ends the use of a lost key even if nobody noticed the loss. A server that ignores it accepts " +
			"certificates of former clients, backups and machines for ever.",
		Method: "Presents an expired certificate: one of the trusted CA if --present or --mint gives it, and otherwise one of " +
			"a foreign CA. If the server refuses the foreign one because it expired, it checks the dates before the " +
			"issuer, as Go's verifier does.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the client CA, and restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "STIG V-242423", "NIST 800-53 IA-5(2)", "NIST 800-53 SC-23", "RFC 5280 6.1.3", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome { return judgeExpiredCert(t, h) })
		},
	})
}

func judgeExpiredCert(t *audit.Listener, anonymous audit.Handshake) audit.Outcome {
	if anonymous.State == audit.Answered && !anonymous.CertificateRequested {
		return audit.Failed(audit.Finding{Code: "not-requested", Text: "the server asks for no certificate, so an expired one works too"})
	}
	if t.Handshake(audit.ExpiredCertificate).State != audit.Untried {
		return judgeFaultyCert(t, anonymous, audit.ExpiredCertificate, "")
	}
	h := t.Handshake(audit.ExpiredForeign)
	switch {
	case h.State == audit.Answered:
		return audit.Failed(audit.Finding{Code: "accepted", Text: string(audit.ExpiredForeign) + " is let in"})
	case h.State == audit.Refused && h.Alert == audit.CertificateExpired:
		return audit.Passed(string(audit.ExpiredForeign) + " is refused for its expiry: " + h.Reason)
	case h.State == audit.Refused:
		return audit.Skipped(string(audit.ExpiredForeign) + " is refused for another reason: " + h.Reason +
			"; to see whether the dates count, present an expired one of the trusted CA (--mint, or --present expired=CERT,KEY)")
	case anonymous.State == audit.Untried:
		return audit.CouldNotTell("TLS handshake: " + anonymous.Reason)
	default:
		return t.Admits(audit.ExpiredForeign)
	}
}
