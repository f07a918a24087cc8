package rbac

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                      {nil, false},
		"permission denied":            {rpctypes.ErrPermissionDenied, true},
		"no user":                      {rpctypes.ErrUserEmpty, true},
		"an unknown user":              {rpctypes.ErrUserNotFound, true},
		"a token":                      {rpctypes.ErrInvalidAuthToken, true},
		"as it is printed":             {&answerError{rpctypes.ErrPermissionDenied}, true},
		"of a proxy":                   {status.Error(codes.PermissionDenied, "no"), true},
		"of a proxy, unauthenticated":  {status.Error(codes.Unauthenticated, "no"), true},
		"a snapshot of 3.5":            {status.Error(codes.Unknown, "auth: permission denied"), true},
		"a snapshot of 3.5, printed":   {&answerError{status.Error(codes.Unknown, "auth: permission denied")}, true},
		"words of it with another end": {status.Error(codes.Unknown, "auth: permission denied, or not"), false},
		"words of it by a connection":  {errors.New("auth: permission denied"), false},
		"no leader":                    {rpctypes.ErrNoLeader, false},
		"a future revision":            {rpctypes.ErrFutureRev, false},
		"the connection":               {io.EOF, false},
		"a deadline":                   {context.DeadlineExceeded, false},
	} {
		if got := isRefusal(c.err); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The reasons are those of etcd's api/v3rpc/watch.go.
func TestWatchError(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		rpctypes.ErrGRPCPermissionDenied.Error():           true,
		rpctypes.ErrGRPCUserEmpty.Error():                  true,
		rpctypes.ErrGRPCAuthOldRevision.Error():            false,
		"etcdserver: mvcc: required revision is compacted": false,
		"": false,
		"rpc error: code = PermissionDenied desc = something": false,
	} {
		if got := isRefusal(rpctypes.Error(watchError(reason))); got != want {
			t.Errorf("%q: refused %t", reason, got)
		}
	}
	if !isTransient(rpctypes.Error(watchError(rpctypes.ErrGRPCAuthOldRevision.Error()))) {
		t.Error("a watch that met a change of roles is not tried again")
	}
	if got := watchError("a\x1b[2J\nb").Error(); strings.ContainsAny(got, "\x1b\n") {
		t.Errorf("%q", got)
	}
}

func TestPermissionsFrom(t *testing.T) {
	t.Parallel()
	want := []Permission{{Read, Single("health")}, {Write, Prefix("a")}, {ReadWrite, KeyRange{"\x00", "\x00"}}}
	var answer []*authpb.Permission
	for _, p := range want {
		answer = append(answer, &authpb.Permission{PermType: p.Access.permType(), Key: []byte(p.Key), RangeEnd: []byte(p.End)})
	}
	got, err := permissionsFrom(answer)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := permissionsFrom([]*authpb.Permission{{PermType: 3}}); err == nil {
		t.Errorf("a type that etcd does not have is %v", got)
	}
}

// A fakeMember answers each request as a test says. It stands for members that misbehave; what
// etcd does is measured on real ones.
type fakeMember struct {
	address string
	roots   *x509.CertPool

	mu    sync.Mutex
	calls int
}

func (f *fakeMember) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	return f.calls
}

// takeCount returns how many calls there were since it was last asked.
func (f *fakeMember) takeCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls = 0
	return n
}

// respond answers the nth call.
type respond func(n int, stream grpc.ServerStream) error

func startFakeMember(t *testing.T, answer respond) *fakeMember {
	t.Helper()
	f := &fakeMember{}
	var config *tls.Config
	config, f.roots = serverTLS(t)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		return answer(f.count(), stream)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = listener.Addr().String()
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return f
}

func serverTLS(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	now := time.Now()
	ca, err := throwaway.New(throwaway.Config{CommonName: "fake", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(throwaway.Leaf{CommonName: "fake", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CertPEM())
	return &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}, roots
}

func connectTo(t *testing.T, address string, roots *x509.CertPool, timeout time.Duration) *member {
	t.Helper()
	m, err := newMember(address, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

// forever is a timeout that a test which waits for it does not survive.
const forever = time.Hour

// refuse answers every call with an error.
func refuse(err error) respond { return func(int, grpc.ServerStream) error { return err } }

// refuseTwice answers two calls with an error, and the third with what comes then.
func refuseTwice(err error, then respond) respond {
	return func(n int, stream grpc.ServerStream) error {
		if n <= 2 {
			return err
		}
		return then(n, stream)
	}
}

// allow answers with the least that etcd answers.
func allow(_ int, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if method == pb.Watch_Watch_FullMethodName {
		return stream.SendMsg(&pb.WatchResponse{Created: true})
	}
	return stream.SendMsg(&pb.StatusResponse{})
}

// What is refused is asked once, and so is what goes wrong in a way that time does not mend. Only
// what etcd cannot answer just now is asked again, and then the later answer counts.
func TestEachProbeIsTriedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer respond
		want   Verdict
		calls  int
	}{
		"allowed":           {allow, Allowed, 1},
		"refused":           {refuse(rpctypes.ErrGRPCPermissionDenied), Denied, 1},
		"no user":           {refuse(rpctypes.ErrGRPCUserEmpty), Denied, 1},
		"broken":            {refuse(status.Error(codes.Internal, "broken")), Unknown, 1},
		"too many requests": {refuse(rpctypes.ErrGRPCRequestTooManyRequests), Unknown, 1},
		"a proxy is out":    {refuse(status.Error(codes.Unavailable, "out")), Unknown, 1},
		"not etcd":          {refuse(status.Error(codes.Unimplemented, "")), Unknown, 1},
		"no answer in it":   {refuse(nil), Unknown, 1},
		"a leader soon":     {refuseTwice(rpctypes.ErrGRPCNoLeader, refuse(rpctypes.ErrGRPCPermissionDenied)), Denied, 3},
		"another revision":  {refuseTwice(rpctypes.ErrGRPCAuthOldRevision, refuse(rpctypes.ErrGRPCPermissionDenied)), Denied, 3},
		"allowed soon":      {refuseTwice(rpctypes.ErrGRPCLeaderChanged, allow), Allowed, 3},
		"broken soon":       {refuseTwice(rpctypes.ErrGRPCNoLeader, refuse(status.Error(codes.Internal, "broken"))), Unknown, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFakeMember(t, c.answer)
			m := connectTo(t, f.address, f.roots, forever)
			for _, request := range probes("/registry/") {
				verdict, err := m.probe(t.Context(), request)
				if verdict != c.want || (err != nil) != (verdict == Unknown) {
					t.Errorf("%s: %s, %v", request, verdict, err)
				}
				if n := f.takeCount(); n != c.calls {
					t.Errorf("%s: asked %d times, want %d", request, n, c.calls)
				}
			}
		})
	}
}

// A watch that etcd cancels is refused, or it is not known what became of it.
func TestCanceledWatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer *pb.WatchResponse
		want   Verdict
	}{
		"begun":        {&pb.WatchResponse{Created: true}, Allowed},
		"refused":      {&pb.WatchResponse{Created: true, Canceled: true, CancelReason: rpctypes.ErrGRPCPermissionDenied.Error()}, Denied},
		"for another":  {&pb.WatchResponse{Created: true, Canceled: true, CancelReason: "compacted"}, Unknown},
		"for nothing":  {&pb.WatchResponse{Canceled: true}, Unknown},
		"of something": {&pb.WatchResponse{}, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFakeMember(t, func(_ int, stream grpc.ServerStream) error { return stream.SendMsg(c.answer) })
			m := connectTo(t, f.address, f.roots, forever)
			if verdict, err := m.probe(t.Context(), Request{Method: Watch, Reads: []KeyRange{Single("k")}}); verdict != c.want {
				t.Errorf("%s, %v", verdict, err)
			}
		})
	}
}

// A member that says nothing, too much, or something else gives no verdict, within the time and
// the size that are its.
func TestHostileMember(t *testing.T) {
	t.Parallel()
	const soon = 300 * time.Millisecond
	silent := func(int, grpc.ServerStream) error {
		<-t.Context().Done() // and not the call's, at whose end a server says so
		return nil
	}
	large := func(_ int, stream grpc.ServerStream) error {
		return stream.SendMsg(&pb.SnapshotResponse{Blob: make([]byte, maxAnswer)})
	}
	slow := func(_ int, stream grpc.ServerStream) error {
		return errors.Join(stream.SendMsg(&pb.WatchResponse{}), silent(0, nil))
	}
	for name, c := range map[string]struct {
		answer  respond
		timeout time.Duration
		says    string
		begins  bool // so that a snapshot is allowed
	}{
		"is silent":             {silent, soon, "no answer within 300ms", false},
		"has never a leader":    {refuse(rpctypes.ErrGRPCNoLeader), soon, "", false},
		"answers too much":      {large, forever, "larger than max", false},
		"has an escape in it":   {refuse(status.Error(codes.Internal, "\x1b[2J")), forever, "?[2J", false},
		"speaks without an end": {refuse(status.Error(codes.Internal, strings.Repeat("x", 10_000))), forever, strings.Repeat("x", 200), false},
		"begins and is silent":  {slow, soon, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFakeMember(t, c.answer)
			m := connectTo(t, f.address, f.roots, c.timeout)
			for _, request := range probes("/registry/") {
				verdict, err := m.probe(t.Context(), request)
				if c.begins && request.Method == Snapshot {
					continue // it has begun
				}
				if verdict != Unknown || err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 250 {
					t.Errorf("%s: %s, %v", request, verdict, err)
				}
			}
		})
	}
}

// Why there is no connection is said at once and as a type, not after the time for an answer.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	get := func(m *member) error {
		_, err := m.probe(t.Context(), Request{Method: Range, Reads: []KeyRange{Single("k")}})
		return err
	}
	closed := net.JoinHostPort("127.0.0.1", strconv.Itoa(etcdtest.FreePort(t)))
	if err := get(connectTo(t, closed, nil, forever)); !isDial(err) {
		t.Errorf("nobody listens: %v", err)
	}
	f := startFakeMember(t, allow)
	err := get(connectTo(t, f.address, x509.NewCertPool(), forever))
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown || !strings.Contains(err.Error(), "--cacert names the CAs") {
		t.Errorf("an unknown CA: %v", err)
	}
	config, roots := serverTLS(t)
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS, web.EnableHTTP2 = config, true
	web.StartTLS()
	t.Cleanup(web.Close)
	if err := get(connectTo(t, web.Listener.Addr().String(), roots, forever)); err == nil {
		t.Error("a web server is a member")
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	if err := get(connectTo(t, mute.Addr().String(), roots, 300*time.Millisecond)); err == nil || err.Error() != "no answer within 300ms" {
		t.Errorf("a port that says nothing: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrNoProgress)
	m := connectTo(t, mute.Addr().String(), roots, forever)
	if _, err := m.probe(ctx, Request{Method: Status}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("an interrupt: %v", err)
	}
}

func isDial(err error) bool {
	at, ok := errors.AsType[*net.OpError](err)
	return ok && at.Op == "dial"
}
