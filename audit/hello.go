package audit

import (
	"crypto/tls"
	"slices"
)

// Offer names the choice that a ClientHello leaves to a server.
type Offer string

// The offers. Weak is what CipherSuite and Group call so.
const (
	StrongSuites      Offer = "strong suites"
	WeakSuites        Offer = "weak suites only"
	WeakGroups        Offer = "weak groups only"
	PostQuantumGroups Offer = "post-quantum groups only"
)

// Hello is a question that is asked by ClientHellos of one version of TLS and no other: does
// the server choose anything of an offer? Each ClientHello but the first leaves out what
// the server chose before. None is followed by a handshake, so the answers do not depend
// on a client certificate.
type Hello struct {
	// Attempt is that of the last ClientHello: Answered if the server chose to the end,
	// Refused if it wants nothing of what was left.
	Attempt
	Version uint16
	Offer   Offer
	Chosen  []Choice // in the order in which the server chose

	// VersionRefused is set when the server told that it does not speak Version.
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

// RefusesVersion reports whether the server told that it does not speak a version.
func (l *Listener) RefusesVersion(version uint16) bool {
	return slices.ContainsFunc(l.Hellos, func(h Hello) bool { return h.Version == version && h.VersionRefused })
}

// Unsettled returns why it is not known what a server chooses of an offer, in TLS 1.2 and 1.3.
// It is empty if that is known to the end. A refusal counts only where the server
// agreed to another offer in the same version: it is then the offer that it refuses.
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
		return "neither TLS 1.2 nor TLS 1.3 is agreed to"
	}
	return ""
}

// whyUnsettled prefers the reason of the question itself to that of one asked before it,
// whose outcome kept it from being asked.
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
