package listeners

import "github.com/etcdsec/etcdsec/audit"

// ClientWrongEKU finds a client port that takes a server's certificate for a client's.
func ClientWrongEKU() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-wrong-eku",
		Title:    "The client port accepts a certificate that is for servers only",
		Severity: audit.High,
		Rationale: "The extended key usage keeps a stolen key of a server from being used as a client's. A port that does not " +
			"look at it makes every key below its CA a key to the store.",
		Method: "Presents a certificate of the trusted CA whose only extended key usage is serverAuth. It is made in memory " +
			"with --mint, or given with --present.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Require certificates of the client CA, and restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "STIG V-242423", "NIST 800-53 IA-5(2)", "NIST 800-53 AC-6", "RFC 5280 4.2.1.12", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome {
				return faultyCert(t, h, audit.ServersOnly, "--mint, or --present servers-only=CERT,KEY")
			})
		},
	})
}

// faultyCert judges a certificate of the trusted CA with a fault, if there is one to present.
func faultyCert(t *audit.Listener, anonymous audit.Handshake, identity audit.Identity, from string) audit.Outcome {
	h, foreign, given := t.Handshake(identity), t.Handshake(audit.ForeignCA), t.Handshake(audit.GivenCertificate)
	switch {
	case anonymous.State == audit.Answered && !anonymous.CertificateRequested:
		return audit.Failed(audit.Finding{Code: "not-requested", Text: "the server asks for no certificate, so " + string(identity) + " serves as well"})
	case h.State == audit.Answered:
		return audit.Failed(audit.Finding{Code: "accepted", Text: string(identity) + " is let in"})
	case h.State == audit.Refused && given.State == audit.Unclear:
		return audit.CouldNotTell(string(audit.GivenCertificate) + ", with which to compare: " + given.Reason)
	case h.State == audit.Refused && given.State != audit.Answered && foreign.State != audit.Refused:
		return audit.CouldNotTell(string(audit.ForeignCA) + ", with which to compare: " + foreign.Reason)
	case h.State == audit.Refused && given.State != audit.Answered && h.Alert == foreign.Alert:
		// The alert is that of a CA which the port does not know, and nothing shows that it
		// knows this one: the fault itself may not have been looked at.
		return audit.Skipped("the port refuses it as it refuses a foreign CA: " + h.Reason + "; nothing of its own CA is let in to compare")
	case h.State != audit.Untried || h.Reason != "":
		return t.Admits(identity)
	case anonymous.State != audit.Refused && anonymous.State != audit.Answered:
		return audit.CouldNotTell("TLS handshake: " + anonymous.Reason)
	default:
		return audit.Skipped("there is none to present: " + from)
	}
}
