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
		Rationale: "Expiry is what ends the use of a lost key where nobody noticed the loss. A server that ignores it takes " +
			"certificates of former clients, backups and machines for ever.",
		Method: "Presents an expired certificate: one of the trusted CA where --present or --mint gives it, else one of a " +
			"foreign CA. A server that refuses the latter for its expiry has looked at the dates before the issuer, as Go's does.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the client CA, and restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "STIG V-242423", "NIST 800-53 IA-5(2)", "NIST 800-53 SC-23", "RFC 5280 6.1.3", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome { return expiredCert(t, h) })
		},
	})
}

func expiredCert(t *audit.Listener, anonymous audit.Handshake) audit.Outcome {
	if anonymous.State == audit.Answered && !anonymous.CertificateRequested {
		return audit.Failed(audit.Finding{Code: "not-requested", Text: "the server asks for no certificate, so an expired one serves as well"})
	}
	if t.Handshake(audit.ExpiredCertificate).State != audit.Untried {
		return faultyCert(t, anonymous, audit.ExpiredCertificate, "")
	}
	h := t.Handshake(audit.ExpiredForeign)
	switch {
	case h.State == audit.Answered:
		return audit.Failed(audit.Finding{Code: "accepted", Text: string(audit.ExpiredForeign) + " is let in"})
	case h.State == audit.Refused && h.Alert == audit.CertificateExpired:
		return audit.Passed(string(audit.ExpiredForeign) + " is refused for its expiry: " + h.Reason)
	case h.State == audit.Refused:
		return audit.Skipped(string(audit.ExpiredForeign) + " is refused for another reason: " + h.Reason +
			"; whether the dates count needs an expired one of the trusted CA (--mint, or --present expired=CERT,KEY)")
	case anonymous.State == audit.Untried:
		return audit.CouldNotTell("TLS handshake: " + anonymous.Reason)
	default:
		return t.Admits(audit.ExpiredForeign)
	}
}
