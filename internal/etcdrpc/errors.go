package etcdrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Code is a gRPC status (google.golang.org/grpc/codes).
type Code int

// The statuses that etcd answers with.
const (
	OK                 Code = 0
	Canceled           Code = 1
	Unknown            Code = 2
	InvalidArgument    Code = 3
	DeadlineExceeded   Code = 4
	NotFound           Code = 5
	PermissionDenied   Code = 7
	ResourceExhausted  Code = 8
	FailedPrecondition Code = 9
	OutOfRange         Code = 11
	Unimplemented      Code = 12
	Internal           Code = 13
	Unavailable        Code = 14
	DataLoss           Code = 15
	Unauthenticated    Code = 16
)

// Meaning is the meaning of an error status. etcd uses one code for several meanings.
type Meaning int

// The meanings that callers distinguish.
const (
	Unrecognised        Meaning = iota
	Denied                      // the user does not have the permission
	UserEmpty                   // authentication is on, and the caller has no user name
	UserUnknown                 // authentication is on, and no user has the caller's name
	AuthFailed                  // user name or password is wrong
	TokenInvalid                // authentication is on, and the token is unknown
	AuthChanged                 // users or roles were changed during the call; the same call may succeed
	Compacted                   // the revision was compacted
	RevisionInFuture            // the member has not seen the revision yet
	NoLeader                    // at the moment
	NotLeader                   // the member is not the leader
	LearnerUnsupported          // a learner refuses the call
	MethodUnimplemented         // the server has no such method
)

// meanings maps the messages of servers to their meanings. The texts after "etcdserver: " are those
// of etcd's api/v3rpc/rpctypes/error.go. Some calls of 3.5 answer with the texts of
// server/auth/store.go, after "auth: " or alone, and the code Unknown.
func meanings() map[string]Meaning {
	return map[string]Meaning{
		"permission denied":   Denied,
		"user name is empty":  UserEmpty,
		"user name not found": UserUnknown,
		"user not found":      UserUnknown,
		"authentication failed, invalid user ID or password": AuthFailed,
		"invalid auth token":                           TokenInvalid,
		"revision of auth store is old":                AuthChanged,
		"mvcc: required revision has been compacted":   Compacted,
		"mvcc: required revision is a future revision": RevisionInFuture,
		"no leader":                     NoLeader,
		"not leader":                    NotLeader,
		"rpc not supported for learner": LearnerUnsupported,
	}
}

// StatusError is an answer with a gRPC status other than OK.
type StatusError struct {
	Code    Code
	Message string // the server's, on one line and at most 200 bytes; may be empty
	Meaning Meaning
}

func newStatusError(code Code, message string) *StatusError {
	e := &StatusError{Code: code, Message: Clean(message)}
	text := strings.TrimPrefix(strings.TrimPrefix(message, "etcdserver: "), "auth: ")
	switch known := meanings()[text]; {
	case known != Unrecognised:
		e.Meaning = known
	case code == PermissionDenied:
		e.Meaning = Denied
	case code == Unimplemented:
		e.Meaning = MethodUnimplemented
	}
	return e
}

func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("gRPC status %d", e.Code)
	}
	return e.Message
}

// MeaningOf returns the meaning of the status in the chain of err, or Unrecognised if there is none.
func MeaningOf(err error) Meaning {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Meaning
	}
	return Unrecognised
}

// NotGRPCError is an answer over HTTP/2 that is not gRPC.
type NotGRPCError struct {
	HTTPStatus int
	Unfinished bool // it began like a gRPC answer, but has no gRPC status
}

func (e *NotGRPCError) Error() string {
	if e.Unfinished {
		return "the answer has no gRPC status"
	}
	return fmt.Sprintf("the answer is HTTP %d and not gRPC", e.HTTPStatus)
}

// The faults of a gRPC answer.
var (
	ErrNoMessage  = errors.New("the answer has no message")
	ErrCompressed = errors.New("the answer is compressed, which nobody asked for")
	ErrMalformed  = errors.New("the answer is malformed")
	ErrCutOff     = errors.New("the server stopped before the end of the answer")
)

// TooLongError is an answer that is longer than its limit.
type TooLongError struct {
	What  string // "message" or "object"
	Bytes int64  // the length that the server announced
	Most  int64
}

func (e *TooLongError) Error() string {
	most := fmt.Sprintf("%d KiB", e.Most>>10)
	if e.Most >= 1<<20 {
		most = fmt.Sprintf("%d MiB", e.Most>>20)
	}
	return fmt.Sprintf("the answer has a %s of %d bytes; no more than %s are read", e.What, e.Bytes, most)
}

// ConnError is a connection that failed, or that broke before the end of the answer.
type ConnError struct{ Err error }

func (e *ConnError) Error() string { return e.Err.Error() }
func (e *ConnError) Unwrap() error { return e.Err }

// ErrClosed means that the server closed the connection before the end of its answer.
var ErrClosed = errors.New("the connection was closed before the end of the answer")

// connError returns why a connection broke. If the context has ended, that is always the reason,
// because it closes the connection.
func connError(ctx context.Context, err error) error {
	if known, ok := errors.AsType[*ConnError](err); ok {
		return known
	}
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return &ConnError{cause}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &ConnError{ErrClosed}
	default:
		return &ConnError{err}
	}
}

// TimeoutError is the cause of a context that ended because the answer was late.
type TimeoutError struct{ After time.Duration }

func (e *TimeoutError) Error() string { return fmt.Sprintf("no answer within %s", e.After) }

// Timeout always reports true; net.Error requires it.
func (e *TimeoutError) Timeout() bool { return true }

// Alert returns the alert with which a TLS server ended the connection, if that is the cause of err.
// crypto/tls wraps it in a net.OpError, as an unexported type of the same numbers as
// tls.AlertError (Go 1.26, crypto/tls/conn.go and alert.go); only QUIC gets a tls.AlertError.
func Alert(err error) (tls.AlertError, bool) {
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return alert, true
	}
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return tls.AlertError(v.Uint()), true //nolint:gosec // the kind says that it fits
	}
	return 0, false
}

// Clean makes the text of a server safe for a message: at most 200 bytes, on one line, without
// control characters for a terminal.
func Clean(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s[:min(len(s), most)], "?")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}
