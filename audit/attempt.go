package audit

import "crypto/tls"

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
