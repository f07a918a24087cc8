package rbac

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// DefaultTimeout bounds one call. etcd itself gives up a request after five seconds and the time
// of an election.
const DefaultTimeout = 10 * time.Second

// The bounds of what a member may answer, in bytes: both are far above what the users of any
// cluster take.
const (
	maxAnswer = 4 << 20
	maxHeader = 64 << 10
)

// readBuffer is the size in bytes of what a connection reads at once. By default grpc-go takes 32 KiB
// for each, of which the few short answers here use next to nothing.
const readBuffer = 4 << 10

// member is a connection to the client port of one member with one certificate. It asks that
// member and no other.
type member struct {
	address string
	timeout time.Duration // of one call
	client  *clientv3.Client
	link    *link
}

// newMember prepares a connection, which the first call opens. A timeout of 0 is DefaultTimeout.
func newMember(address string, config *tls.Config, timeout time.Duration) (*member, error) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	const ping = 30 * time.Second
	m := &member{address: address, timeout: timeout, link: &link{TransportCredentials: credentials.NewTLS(config), why: new(cause)}}
	var err error
	m.client, err = clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + address}, TLS: config, Logger: zap.NewNop(),
		DialTimeout: timeout, DialKeepAliveTime: ping, DialKeepAliveTimeout: timeout,
		MaxCallRecvMsgSize: maxAnswer,
		// By default client/v3 asks up to a hundred times. Here call decides what is asked again.
		MaxUnaryRetries: 1,
		DialOptions: []grpc.DialOption{
			grpc.WithUserAgent("etcdsec-rbac"), grpc.WithNoProxy(), grpc.WithMaxHeaderListSize(maxHeader),
			grpc.WithReadBufferSize(readBuffer),
			grpc.WithContextDialer(m.link.dial), grpc.WithTransportCredentials(m.link),
			grpc.WithChainUnaryInterceptor(failFast),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the connection to %s: %w", address, err)
	}
	return m, nil
}

func (m *member) close() { _ = m.client.Close() } // nothing is under way

// failFast lets a call fail with its connection. client/v3 itself waits until the deadline for a
// member that refuses the connection, and then no longer knows why.
func failFast(ctx context.Context, method string, request, reply any, over *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	return invoke(ctx, method, request, reply, over, append(options, grpc.WaitForReady(false))...)
}

// link opens connections and remembers why the last one failed: grpc-go passes on only the text.
type link struct {
	credentials.TransportCredentials

	why *cause
}

// cause is an error that the connection's goroutines set and a call reads.
type cause struct {
	mu  sync.Mutex
	err error
}

func (c *cause) set(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *cause) get() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (l *link) dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	l.why.set(err)
	return conn, err
}

// ClientHandshake implements credentials.TransportCredentials.
func (l *link) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := l.TransportCredentials.ClientHandshake(ctx, authority, raw)
	l.why.set(err)
	return conn, info, err
}

// Clone copies the credentials, as grpc-go wants it; the copy tells the same link why it failed.
func (l *link) Clone() credentials.TransportCredentials {
	return &link{TransportCredentials: l.TransportCredentials.Clone(), why: l.why}
}

// call asks the member with a function that may safely run more than once. It runs the function
// again only while etcd cannot answer at the moment. Any other answer, such as a refusal, is final. The error is etcd's (rpctypes.EtcdError) or that of the connection.
func (m *member) call(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.timeout, m.noAnswer())
	defer cancel()
	const pause = 50 * time.Millisecond
	for {
		err := rpctypes.Error(ask(ctx))
		switch {
		case err == nil:
			return nil
		case !isTransient(err):
			return m.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
			return &answerError{err}
		case <-time.After(pause):
		}
	}
}

// isTransient reports whether the same question may get another answer at once: there is no leader
// at the moment, or a user or role was changed while etcd looked at it.
func isTransient(err error) bool {
	if errors.Is(err, rpctypes.ErrAuthOldRevision) || errors.Is(err, rpctypes.ErrTimeoutWaitAppliedIndex) {
		return true
	}
	answer, ok := errors.AsType[rpctypes.EtcdError](err)
	return ok && answer.Code() == codes.Unavailable
}

func (m *member) noAnswer() error { return fmt.Errorf("no answer within %s", m.timeout) }

// explain returns the cause of an error, in words for people.
func (m *member) explain(ctx context.Context, err error) error {
	if _, answered := errors.AsType[rpctypes.EtcdError](err); answered {
		return &answerError{err}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := status.Code(err)
	// The member was told the deadline, and may give up a moment before it.
	if deadline, ok := ctx.Deadline(); ok && (code == codes.Canceled || code == codes.DeadlineExceeded) && time.Until(deadline) < m.timeout/4 {
		return m.noAnswer()
	}
	why := m.link.why.get()
	if why == nil || code != codes.Unavailable {
		return &answerError{err}
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](why); unknown {
		return fmt.Errorf("%w; --cacert names the CAs of etcd's server certificates", why)
	}
	return why
}

// answerError holds an error that a member answered, or what it sent instead of an answer. Its
// text can be printed.
type answerError struct{ cause error }

func (e *answerError) Error() string { return makeLegible(rpctypes.ErrorDesc(e.cause)) }

func (e *answerError) Unwrap() error { return e.cause }

// isRefusal reports whether an error says that the caller may not do what it asked for.
func isRefusal(err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrUserNotFound):
		return true
	}
	if answer, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return answer.Code() == codes.Unauthenticated
	}
	s, ok := status.FromError(err)
	switch s.Code() {
	case codes.PermissionDenied, codes.Unauthenticated:
		return true
	case codes.Unknown:
		return ok && isRefusalMessage(s.Message())
	default:
		return false
	}
}

// isRefusalMessage reports whether the message of a status without a code is a refusal. etcd 3.5
// sends the refusals of a Snapshot without a code (server/etcdserver/api/v3rpc/maintenance.go), so
// that only the texts of server/auth/store.go tell what they are.
func isRefusalMessage(message string) bool {
	switch message {
	case "auth: permission denied", "auth: user name is empty", "auth: user not found":
		return true
	default:
		return false
	}
}

// watchError returns etcd's error for the reason for which it canceled a watch. The message has
// no code: the reason is the text of one of etcd's own statuses
// (server/etcdserver/api/v3rpc/watch.go).
func watchError(reason string) error {
	for _, known := range []error{
		rpctypes.ErrGRPCPermissionDenied, rpctypes.ErrGRPCUserEmpty, rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCAuthOldRevision,
	} {
		if reason == known.Error() {
			return known
		}
	}
	return fmt.Errorf("etcd canceled the watch: %s", makeLegible(reason))
}

// makeLegible makes text from a server safe to print: short, valid UTF-8, no control characters.
func makeLegible(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s[:min(len(s), most)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
