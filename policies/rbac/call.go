package rbac

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/grpchttp"
)

// What one certificate may do on one member is asked of that member, once.

// DefaultTimeout is of one call. etcd itself gives up a request after five seconds and the time
// of an election.
const DefaultTimeout = 10 * time.Second

// maxAnswer is far above the list of the users of any cluster.
const maxAnswer = 4 << 20

// The gRPC statuses that are told apart.
const (
	statusOK               = 0
	statusPermissionDenied = 7
	statusUnavailable      = 14
	statusUnauthenticated  = 16
)

// answer is what a member said.
type answer struct {
	code    int // the gRPC status
	message string
	body    []byte
}

// denied says that the caller may not do it. Not all members translate every refusal into a gRPC
// status (3.5's api/v3rpc/maintenance.go does not), so the texts of server/auth/store.go count.
func (a answer) denied() bool {
	if a.code == statusPermissionDenied || a.code == statusUnauthenticated {
		return true
	}
	return a.code != statusOK && refusal(a.message)
}

// refusal says that a text is one of etcd's for who may not. A status may stand around it.
func refusal(text string) bool {
	for _, known := range []string{"permission denied", "user name is empty", "user name not found", "auth: user not found"} {
		if strings.HasSuffix(text, known) {
			return true
		}
	}
	return false
}

// again says that the same question may get another answer at once: there is no leader just now,
// or a user or role was changed between etcd's two looks at them.
func (a answer) again() bool {
	return a.code == statusUnavailable || a.code != statusOK && strings.HasSuffix(a.message, "revision of auth store is old")
}

func (a answer) err() error {
	if a.code == statusOK {
		return nil
	}
	if a.message == "" {
		return fmt.Errorf("gRPC status %d", a.code)
	}
	return errors.New(clean(a.message))
}

// clean makes text of a server fit for a message.
func clean(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s[:min(len(s), most)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// member is the client port of one member, as the holder of one certificate sees it.
type member struct {
	address   string
	url       url.URL
	transport *http.Transport
	timeout   time.Duration
}

func newMember(address string, config *tls.Config, timeout time.Duration) *member {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &member{address: address, url: url.URL{Scheme: "https", Host: address}, transport: grpchttp.NewTransport(config, timeout), timeout: timeout}
}

func (m *member) close() { m.transport.CloseIdleConnections() }

// call makes one call of a method that may be repeated without harm, and repeats it while there
// is no leader. stream reads no more than the first message of a stream.
func (m *member) call(ctx context.Context, path string, request message, stream bool) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, m.timeout, fmt.Errorf("no answer within %s", m.timeout))
	defer cancel()
	const pause = 50 * time.Millisecond
	for {
		a, err := m.once(ctx, path, request, stream)
		if err != nil || !a.again() {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, nil
		case <-time.After(pause):
		}
	}
}

func (m *member) once(ctx context.Context, path string, request message, stream bool) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // and so the stream ends
	u := m.url
	u.Path = "/etcdserverpb." + path
	response, err := grpchttp.Post(ctx, m.transport, &u, grpchttp.Header("etcdsec-rbac"), request.frame())
	if err != nil {
		return answer{}, grpchttp.Explain(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := grpchttp.Answers(response); err != nil {
		return answer{}, err
	}
	body, err := readMessage(response.Body, stream)
	if err != nil {
		return answer{}, grpchttp.Explain(ctx, err)
	}
	if stream && body != nil {
		return answer{body: body}, nil
	}
	code, text, err := grpchttp.Status(response)
	if err != nil {
		return answer{}, err
	}
	return answer{code: code, message: text, body: body}, nil
}

// readMessage reads the message of an answer; nil if there is none. A unary answer is read to its
// end, so that the trailers are there.
func readMessage(r io.Reader, stream bool) ([]byte, error) {
	var head [frameHead]byte
	switch _, err := io.ReadFull(r, head[:]); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	case head[0] != 0:
		return nil, errors.New("the answer is compressed, which nobody asked for")
	}
	length := int64(head[1])<<24 | int64(head[2])<<16 | int64(head[3])<<8 | int64(head[4])
	if length > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	body, err := io.ReadAll(io.LimitReader(r, length))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) < length:
		return nil, io.ErrUnexpectedEOF
	case stream:
		return body, nil
	}
	if n, err := io.ReadFull(r, head[:1]); n > 0 {
		return nil, errMessage
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return body, nil
}
