package audit

import (
	"crypto/tls"
	"slices"
)

// State is how an attempt ended.
type State string

// The states of an attempt.
const (
	Untried  State = ""         // Reason gives the reason, or is empty
	Answered State = "answered" // the service answered; a handshake was accepted
	Refused  State = "refused"  // the server said no explicitly
	Closed   State = "closed"   // the connection ended without an answer: a refusal, or a fault of the network
	Unclear  State = "unclear"  // silence, garbage, or more than is read
)

// Cause is the reason why an attempt got no answer, if a check needs to know it. The text for people is
// in the attempt's Reason.
type Cause uint8

// The causes.
const (
	NoCause      Cause = iota // no cause that a check needs
	TimedOut                  // no complete answer came in time
	WasInterrupt              // the audit ended before the attempt did
	NotSpoken                 // the server answered in another protocol
)

// The TLS alerts that checks distinguish (RFC 8446 section 6.2, RFC 7301 section 3.2).
const (
	CertificateExpired    tls.AlertError = 45
	ProtocolVersion       tls.AlertError = 70
	NoApplicationProtocol tls.AlertError = 120
)

// refusesCertificate reports whether the server refused the client's certificate, or the lack of one: by
// an alert that is about certificates. Any other alert, such as "internal error", is about a fault
// that the next client may not meet (RFC 8446 section 6.2; OpenSSL's ssl/statem/statem_lib.c,
// ssl_x509err2alert).
func (a Attempt) refusesCertificate() bool {
	return a.State == Refused && slices.Contains([]tls.AlertError{
		40, // handshake_failure: of OpenSSL in TLS 1.2, without a certificate
		41, // no_certificate
		42, // bad_certificate
		43, // unsupported_certificate
		44, // certificate_revoked
		CertificateExpired,
		46,  // certificate_unknown
		48,  // unknown_ca
		49,  // access_denied
		51,  // decrypt_error: of OpenSSL, where the CA has the name of a trusted one
		116, // certificate_required
	}, a.Alert)
}

// RefusesOffer reports whether the server refused what a ClientHello offers, such as its versions:
// not every alert does.
func (a Attempt) RefusesOffer() bool {
	return a.State == Refused && slices.Contains([]tls.AlertError{
		40, // handshake_failure
		ProtocolVersion,
		71, // insufficient_security
	}, a.Alert)
}

// Interrupted is the Reason of an attempt whose Cause is [WasInterrupt].
const Interrupted = "the audit was interrupted"

// Attempt is the result of one thing that the audit tried.
type Attempt struct {
	State  State
	Cause  Cause
	Alert  tls.AlertError // of State Refused, where the server sent a TLS alert; 0 if it sent none
	Reason string         // for people, of every state but Answered
}

// deniesProtocol reports whether the server showed that it does not speak the protocol of the request.
// Silence and a closed connection show nothing.
func (a Attempt) deniesProtocol() bool {
	return a.Cause == NotSpoken || a.State == Refused && a.Alert == NoApplicationProtocol
}
