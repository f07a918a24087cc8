package audit

import (
	"crypto/x509"
	"slices"
)

// Identity names the certificate that a TLS client presents if the server asks for one.
type Identity string

// The identities that the audit presents.
const (
	NoCertificate     Identity = "no certificate"
	ForeignCA         Identity = "a certificate of a foreign CA"
	ForeignCASameName Identity = "a certificate of a foreign CA that bears the trusted CA's name"
	GivenCertificate  Identity = "the given client certificate"

	// ExpiredForeign is of a foreign CA. A server says which of the two faults it refuses it
	// for, and one that says the expiry has looked at the dates.
	ExpiredForeign Identity = "an expired certificate of a foreign CA"

	// The next are of a CA that the port trusts, with one fault each. They are presented
	// where the auditor has them or may make them.
	ExpiredCertificate Identity = "an expired certificate of the trusted CA"
	ServersOnly        Identity = "a certificate of the trusted CA for servers only"
	RevokedCertificate Identity = "a revoked certificate of the trusted CA"
	ElsewhereMember    Identity = "a member's certificate for another address"
)

// Handshake is one TLS handshake and what followed. It is Answered only when the server
// proved that it accepted the client, by a first answer after the handshake: a TLS 1.3
// server refuses a certificate after the client has finished.
type Handshake struct {
	Attempt
	Presented              Identity
	MinVersion, MaxVersion uint16 // offered; 0 is no limit

	// SpokeTLS is set if the server answered in TLS, even if only with an alert.
	SpokeTLS bool
	// Version is the agreed version, or 0. It is set even if the server refused the certificate later.
	Version              uint16
	ALPN                 string
	CertificateRequested bool
	AcceptableCAs        [][]byte // raw subjects of the CAs that the server says it trusts
	Chain                []*x509.Certificate
	// TrustFault says why Chain does not verify against the given CAs; empty if it does, or none were given.
	TrustFault string
}

// Handshake returns the handshake with an identity and no limit on the version.
func (l *Listener) Handshake(presented Identity) Handshake {
	for _, h := range l.Handshakes {
		if h.Presented == presented && h.MaxVersion == 0 {
			return h
		}
	}
	return Handshake{Presented: presented}
}

// Agreed returns the handshake with an identity that shows whether the port lets it in. This is the
// handshake without a limit on the version, unless the server refused it before it agreed on a
// version: such a refusal does not depend on the caller. A server with a key that TLS 1.3 does not
// know (for example P-224: crypto/tls/auth.go, signatureSchemesForCertificate) refuses TLS 1.3, and
// lets the same caller in over TLS 1.2.
func (l *Listener) Agreed(presented Identity) Handshake {
	found := l.Handshake(presented)
	if found.State != Refused || found.Version != 0 {
		return found
	}
	for _, h := range l.Handshakes {
		if h.Presented == presented && h.Version != 0 {
			return h
		}
	}
	return found
}

// HandshakeUpTo returns the handshake that offered no version above highest.
func (l *Listener) HandshakeUpTo(highest uint16) Handshake {
	for _, h := range l.Handshakes {
		if h.MaxVersion == highest {
			return h
		}
	}
	return Handshake{MaxVersion: highest}
}

// MaxChains is the number of different chains that a listener keeps. A server that shows more wants to
// keep the audit busy.
const MaxChains = 8

// Chains returns the different chains that the port served in all handshakes, each once: those of
// Handshakes first, in their order, at most MaxChains. A port should serve one; a load balancer, a
// renewal during the audit or an attacker on the path shows another one to some callers.
func (l *Listener) Chains() [][]*x509.Certificate {
	var all [][]*x509.Certificate
	for _, h := range l.Handshakes {
		all = AddChain(all, h.Chain)
	}
	for _, chain := range l.OtherChains {
		all = AddChain(all, chain)
	}
	return all
}

// AddChain adds a chain that is not empty to those that it differs from, up to MaxChains.
func AddChain(all [][]*x509.Certificate, chain []*x509.Certificate) [][]*x509.Certificate {
	if len(chain) == 0 || len(all) >= MaxChains || slices.ContainsFunc(all, func(known []*x509.Certificate) bool {
		return slices.EqualFunc(known, chain, (*x509.Certificate).Equal)
	}) {
		return all
	}
	return append(all, chain)
}

// OverTLS judges a listener that speaks TLS, by the handshake without a certificate. It returns [Skipped]
// if the listener speaks only plaintext, and [CouldNotTell] if it showed neither.
func (l *Listener) OverTLS(judge func(Handshake) Outcome) Outcome {
	h := l.Agreed(NoCertificate)
	switch {
	case h.SpokeTLS:
		return judge(h)
	case l.HasNoTLS():
		return Skipped("the port has no TLS")
	case l.Kind == Metrics && l.NothingListens():
		return Skipped("nothing listens")
	default:
		return CouldNotTell("TLS handshake: " + h.Reason)
	}
}

// Admitted returns the first handshake in which the port let an identity in, whatever versions it
// offered; false if there is none.
func (l *Listener) Admitted(presented Identity) (Handshake, bool) {
	at := slices.IndexFunc(l.Handshakes, func(h Handshake) bool { return h.Presented == presented && h.State == Answered })
	if at < 0 {
		return Handshake{Presented: presented}, false
	}
	return l.Handshakes[at], true
}

// Admits returns how a TLS port answered an identity, as an outcome without findings: [Fail] if any
// handshake let it in, [Pass] if the port refused it by an alert about certificates. A connection that
// closed without an alert counts as a refusal only if the same port let the given certificate in.
func (l *Listener) Admits(presented Identity) Outcome {
	h := l.Agreed(presented)
	if admitted, found := l.Admitted(presented); found {
		h = admitted
	}
	switch h.State {
	case Answered:
		return Outcome{Verdict: Fail}
	case Refused:
		if h.Version == 0 {
			return CouldNotTell(string(presented) + ": " + h.Reason + ", before it agreed on a version of TLS, so the identity does not matter")
		}
		if !h.refusesCertificate() {
			return CouldNotTell(string(presented) + ": " + h.Reason + ", which is not about certificates")
		}
		return Passed(string(presented) + " is refused: " + h.Reason)
	case Closed:
		if presented != GivenCertificate && l.Handshake(GivenCertificate).State == Answered {
			return Passed(string(presented) + " is refused by a closed connection; the given certificate is let in")
		}
		return CouldNotTell(string(presented) + ": " + h.Reason +
			"; this may be a refusal or a fault of the network (repeat with --cert and --key of a client that the port lets in)")
	default:
		return CouldNotTell(string(presented) + ": " + l.reasonOf(h))
	}
}

// reasonOf returns why a handshake was not answered. One that was not tried has no reason of its
// own where the one without a certificate showed that nothing can be presented.
func (l *Listener) reasonOf(h Handshake) string {
	if h.Reason != "" {
		return h.Reason
	}
	return "it was not presented; TLS handshake: " + l.Agreed(NoCertificate).Reason
}
