package audit

import "crypto/tls"

// State is how an attempt ended.
type State string

// The states of an attempt.
const (
	Untried  State = ""         // Reason says why, or is empty
	Answered State = "answered" // the service answered; a handshake was accepted
	Refused  State = "refused"  // the server said no in so many words
	Closed   State = "closed"   // the connection ended without a word: a refusal, or a fault of the network
	Unclear  State = "unclear"  // silence, garbage, or more than is read
)

// Cause is why an attempt was not answered, where a check has to know. Text for people is in
// the attempt's Reason.
type Cause uint8

// The causes.
const (
	NoCause      Cause = iota // none that a check asks for
	TimedOut                  // there was no whole answer in time
	WasInterrupt              // the audit ended before the attempt did
	NotSpoken                 // an answer came, in another protocol than the one that was asked for
)

// The TLS alerts that checks tell apart (RFC 8446 section 6.2, RFC 7301 section 3.2).
const (
	CertificateExpired    tls.AlertError = 45
	ProtocolVersion       tls.AlertError = 70
	NoApplicationProtocol tls.AlertError = 120
)

// Interrupted is the reason for people of an attempt whose Cause is WasInterrupt.
const Interrupted = "the audit was interrupted"

// Attempt is how one thing that was tried ended.
type Attempt struct {
	State  State
	Cause  Cause
	Alert  tls.AlertError // of State Refused, where the server sent a TLS alert; 0 if it sent none
	Reason string         // for people, of every state but Answered
}

// deniesProtocol reports whether the server showed that it does not speak the protocol that it
// was asked in. Silence and a closed connection show nothing.
func (a Attempt) deniesProtocol() bool {
	return a.Cause == NotSpoken || a.State == Refused && a.Alert == NoApplicationProtocol
}
