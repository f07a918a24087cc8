package listeners

import "github.com/etcdsec/etcdsec/audit"

// ClientWrongEKU finds a client port that accepts a server's certificate as a client's.
func ClientWrongEKU() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-wrong-eku",
		Title:    "The client port accepts a certificate for servers only",
		Severity: audit.High,
		Rationale: "The extended key usage prevents the use of a server's stolen key as a client's. If a port does not check it, " +
			"every key below its CA opens the store.",
		Method: "Presents a certificate of the trusted CA whose only extended key usage is serverAuth, made in memory with " +
			"--mint or given with --present.",
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
				return judgeFaultyCert(t, h, audit.ServersOnly, "--mint, or --present servers-only=CERT,KEY")
			})
		},
	})
}

// judgeFaultyCert judges whether the port accepts a faulty certificate of the trusted CA, if there is one
// to present.
func judgeFaultyCert(t *audit.Listener, anonymous audit.Handshake, identity audit.Identity, from string) audit.Outcome {
	h, foreign, given := t.Handshake(identity), t.Handshake(audit.ForeignCA), t.Handshake(audit.GivenCertificate)
	switch {
	case anonymous.State == audit.Answered && !anonymous.CertificateRequested:
		return audit.Failed(audit.Finding{Code: "not-requested", Text: "the server asks for no certificate, so " + string(identity) + " works too"})
	case h.State == audit.Answered:
		return audit.Failed(audit.Finding{Code: "accepted", Text: string(identity) + " is let in"})
	case h.State == audit.Refused && given.State == audit.Unclear:
		return audit.CouldNotTell("comparing with " + string(audit.GivenCertificate) + ": " + given.Reason)
	case h.State == audit.Refused && given.State != audit.Answered && foreign.State != audit.Refused:
		return audit.CouldNotTell("comparing with " + string(audit.ForeignCA) + ": " + foreign.Reason)
	case h.State == audit.Refused && given.State != audit.Answered && h.Alert == foreign.Alert:
		// The alert is that of a CA which the port does not know, and nothing shows that it
		// knows this one: the fault itself may not have been looked at.
		return audit.Skipped("the port refuses it in the same way as a foreign CA: " + h.Reason + "; the audit has no accepted certificate of its own CA to compare with")
	case h.State != audit.Untried || h.Reason != "":
		return t.Admits(identity)
	case anonymous.State != audit.Refused && anonymous.State != audit.Answered:
		return audit.CouldNotTell("TLS handshake: " + anonymous.Reason)
	default:
		return audit.Skipped("there is no such certificate to present: " + from)
	}
}
