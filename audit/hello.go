package audit

import (
	"crypto/tls"
	"slices"
)

// Offer names the choice that a ClientHello leaves to a server.
type Offer string

// The offers. [CipherSuite] and [Group] define what is weak.
const (
	StrongSuites      Offer = "strong suites"
	WeakSuites        Offer = "weak suites only"
	WeakGroups        Offer = "weak groups only"
	PostQuantumGroups Offer = "post-quantum groups only"
)

// Hello is one question, asked by ClientHellos of exactly one version of TLS: does the server choose
// anything of an [Offer]? Each ClientHello after the first leaves out the server's earlier choices.
// No handshake follows, so the answers do not depend on a client certificate.
type Hello struct {
	// Attempt is the result of the last ClientHello: Answered if the server chose until nothing was
	// left, Refused if it accepts nothing of the rest.
	Attempt
	Version uint16
	Offer   Offer
	Chosen  []Choice // in the order in which the server chose

	// VersionRefused is set if the server said that it does not speak Version.
	VersionRefused bool
}

// Choice holds the answer of a server to a ClientHello.
type Choice struct {
	Suite     uint16
	Group     uint16 // 0 if the suite has none, or a prime of the server's own
	PrimeBits int    // of that prime

	SecureRenegotiation bool  // TLS 1.2: renegotiation_info was there
	Compression         uint8 // TLS 1.2: 0 is none
}

// Hello returns the question with a version and an offer.
func (l *Listener) Hello(version uint16, offer Offer) Hello {
	for _, h := range l.Hellos {
		if h.Version == version && h.Offer == offer {
			return h
		}
	}
	return Hello{Version: version, Offer: offer}
}

// Choices returns everything that a server chose in a version, whatever it was offered.
func (l *Listener) Choices(version uint16) []Choice {
	var choices []Choice
	for _, h := range l.Hellos {
		if h.Version == version {
			choices = append(choices, h.Chosen...)
		}
	}
	return choices
}

// RefusesVersion reports whether the server said that it does not speak a version.
func (l *Listener) RefusesVersion(version uint16) bool {
	return slices.ContainsFunc(l.Hellos, func(h Hello) bool { return h.Version == version && h.VersionRefused })
}

// Unsettled returns why it is unknown what a server chooses of an offer, in TLS 1.2 and 1.3. It is empty
// if this is known completely. A refusal counts only if the server accepted another offer in the same
// version: then the server refuses the offer, and not the version.
func (l *Listener) Unsettled(offer Offer) string {
	refused := 0
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		h := l.Hello(version, offer)
		switch {
		case l.RefusesVersion(version):
			refused++
		case h.State == Answered, h.State == Refused && len(l.Choices(version)) > 0:
		default:
			return tls.VersionName(version) + " with " + l.whyUnsettled(h)
		}
	}
	if refused == 2 {
		return "the server accepts neither TLS 1.2 nor TLS 1.3"
	}
	return ""
}

// whyUnsettled returns the reason of the question itself, or else the reason of an earlier question
// because of which it was not asked.
func (l *Listener) whyUnsettled(h Hello) string {
	if h.Reason == "" {
		for _, other := range l.Hellos {
			if other.Version == h.Version && other.Reason != "" {
				h = other
			}
		}
	}
	if h.Reason == "" {
		return string(h.Offer) + " was not tried"
	}
	return string(h.Offer) + ": " + h.Reason
}
