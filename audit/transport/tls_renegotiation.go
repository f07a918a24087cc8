package transport

import (
	"crypto/tls"

	"github.com/etcdsec/etcdsec/audit"
)

// TLSRenegotiation finds a port whose TLS 1.2 does not bind a renegotiation to its connection.
func TLSRenegotiation() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "tls-renegotiation",
		Title:    "Renegotiation is not bound to its connection",
		Severity: audit.Medium,
		Rationale: "Without RFC 5746 a client cannot distinguish its first handshake from a renegotiation. So an attacker on the " +
			"path can put his own request before it, and the server carries it out with the client's certificate " +
			"(CVE-2009-3555).",
		Method: "Sends a TLS 1.2 ClientHello with renegotiation_info and checks whether the ServerHello has it too. TLS 1.3 " +
			"has no renegotiation. Does not try to renegotiate, because this needs a client that the server lets in.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Every etcd sends the extension, and refuses to renegotiate. Find the program that answers on the port instead, such as a " +
					"proxy, and update it; or disable TLS 1.2:"),
				audit.Paste("openssl s_client -connect %s -tls1_2 </dev/null 2>/dev/null | grep -i renegotiation", p.Asked()),
				audit.Paste("--tls-min-version=TLS1.3"),
			}
		},
		References: []string{"NIST 800-52r2 3.4.1", "NIST 800-53 SC-8(1)", "NIST 800-53 SC-23", "CVE-2009-3555", "BSI TR-02102-2", "RFC 5746"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(audit.Handshake) audit.Outcome {
				return judgeInTLS12(t, "TLS 1.3 has no renegotiation", func(c audit.Choice) audit.Outcome {
					if !c.SecureRenegotiation {
						return audit.Failed(audit.Finding{Code: "not-bound", Text: "the ServerHello of TLS 1.2 has no renegotiation_info"})
					}
					return audit.Passed("the ServerHello of TLS 1.2 has renegotiation_info")
				})
			})
		},
	})
}

// judgeInTLS12 judges the first answer in TLS 1.2. A port that refuses TLS 1.2 and older passes, because
// TLS 1.3 does not have the feature; without is the sentence that says so.
func judgeInTLS12(t *audit.Listener, without string, judge func(audit.Choice) audit.Outcome) audit.Outcome {
	if choices := t.Choices(tls.VersionTLS12); len(choices) > 0 {
		return judge(choices[0])
	}
	older := t.HandshakeUpTo(tls.VersionTLS11)
	switch h := t.Hello(tls.VersionTLS12, audit.StrongSuites); {
	case h.VersionRefused && older.Version == 0 && older.RefusesOffer():
		return audit.Passed("the server refuses TLS 1.2 and older; " + without)
	case h.VersionRefused && older.Version != 0:
		return audit.CouldNotTell("the server refuses TLS 1.2 and accepts " + tls.VersionName(older.Version))
	case h.VersionRefused:
		return audit.CouldNotTell("a handshake up to TLS 1.1: " + older.Reason)
	case h.Reason == "":
		return audit.CouldNotTell("TLS 1.2 was not tried")
	default:
		return audit.CouldNotTell("TLS 1.2: " + h.Reason)
	}
}
