package census

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// StopCause is the kind of fault that stopped a census. Each kind has its own remedy.
type StopCause int

// The kinds of fault.
const (
	OtherCause        StopCause = iota
	Interrupted                 // the context ended
	PermissionMissing           // the user may not read all of the prefix
	UserMissing                 // etcd's authentication is on, and took the caller for no user
	CertificateWanted           // the member said by a TLS alert that it wants another client certificate
	// ConnectionBroken means that a connection was made and then broke. If no certificate was
	// presented, the member may require one: the TLS 1.3 alert that says so may be lost, because
	// the connection is reset after it.
	ConnectionBroken
	ServerUntrusted // the given CAs did not sign the server's certificate
)

// StopError is the reason why a census stopped early. It is audit.Census.Stopped of a census by
// [Live], and its text is the Reason.
type StopError struct {
	Cause StopCause
	Err   error
}

func (e *StopError) Error() string { return e.Err.Error() }
func (e *StopError) Unwrap() error { return e.Err }

// The alerts by which a TLS server refuses a client because of its certificate, or because it has
// none (RFC 8446 section 6.2; TLS 1.2 has only the first).
const (
	alertBadCertificate      tls.AlertError = 42
	alertCertificateRequired tls.AlertError = 116
)

func stopCause(err error) StopCause {
	if errors.Is(err, errInterrupted) {
		return Interrupted
	}
	if _, partly := errors.AsType[*partlyReadError](err); partly {
		return PermissionMissing
	}
	switch etcdrpc.MeaningOf(err) {
	case etcdrpc.Denied:
		return PermissionMissing
	case etcdrpc.UserEmpty, etcdrpc.UserUnknown, etcdrpc.AuthFailed:
		return UserMissing
	default: // the others are no question of who asks
	}
	if alert, sent := etcdrpc.Alert(err); sent && (alert == alertBadCertificate || alert == alertCertificateRequired) {
		return CertificateWanted
	}
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](err); untrusted {
		return ServerUntrusted
	}
	if _, broken := errors.AsType[*etcdrpc.ConnError](err); broken && !isTimeout(err) && !isDial(err) {
		return ConnectionBroken
	}
	return OtherCause
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	_, late := errors.AsType[*etcdrpc.TimeoutError](err)
	return late || ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// isDial reports whether an error means that no connection was made.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
