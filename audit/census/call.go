package census

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/etcdsec/etcdsec/internal/grpchttp"
)

// The gRPC statuses that are told apart.
const (
	invalidArgument  = 3
	permissionDenied = 7
	outOfRange       = 11
	unimplemented    = 12
	unauthenticated  = 16
)

// callError is the answer of a member that is no page.
type callError struct {
	code    int // the gRPC status
	message string
}

func (e *callError) Error() string {
	if e.message == "" {
		return fmt.Sprintf("gRPC status %d", e.code)
	}
	return e.message
}

// Of the same status are a revision that is gone and one that has not come yet. The texts
// are those of etcd's api/v3rpc/rpctypes/error.go.
func (e *callError) compacted() bool {
	return e.code == outOfRange && e.message == "etcdserver: mvcc: required revision has been compacted"
}

// final says that no other member would answer otherwise.
func (e *callError) final() bool {
	return e.code == permissionDenied || e.code == unauthenticated || e.code == invalidArgument
}

// endpoint is one client port, with the connection to it.
type endpoint struct {
	url       *url.URL // of KV.Range
	transport *http.Transport
}

func newEndpoint(written string, config *tls.Config, timeout time.Duration) (*endpoint, error) {
	u, err := parseEndpoint(written)
	if err != nil {
		return nil, err
	}
	const window = 1 << 20
	transport := grpchttp.NewTransport(config, timeout)
	transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: window, MaxReceiveBufferPerConnection: window}
	transport.Protocols.SetHTTP2(u.Scheme == "https")
	transport.Protocols.SetUnencryptedHTTP2(u.Scheme == "http")
	u.Path = "/etcdserverpb.KV/Range"
	return &endpoint{url: u, transport: transport}, nil
}

// parseEndpoint takes what etcdctl takes: host:port, with https unless it says http://.
func parseEndpoint(written string) (*url.URL, error) {
	u, err := url.Parse(written)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		u, err = url.Parse("https://" + written)
	}
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Port() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("endpoint %q: want https://host:port, or http://host:port of a member without TLS", written)
	}
	if port, err := strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
		return nil, fmt.Errorf("endpoint %q: the port is not 1 to 65535", written)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// address is the endpoint for people.
func (e *endpoint) address() string { return e.url.Host }

// call makes one Range.
func (e *endpoint) call(ctx context.Context, r rangeRequest, timeout time.Duration, d *decoder, add func(p *page, key, value []byte) error) (page, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	header := grpchttp.Header("etcdsec-census")
	// A member that is slow may stop when nobody waits any more.
	header.Set("Grpc-Timeout", strconv.FormatInt(timeout.Milliseconds(), 10)+"m")
	response, err := grpchttp.Post(ctx, e.transport, e.url, header, r.frame())
	if err != nil {
		return page{}, grpchttp.Explain(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := grpchttp.Answers(response); err != nil {
		return page{}, err
	}
	p, err := d.decode(response.Body, add)
	if err != nil && !errors.Is(err, errNoMessage) {
		return p, grpchttp.Explain(ctx, err)
	}
	code, text, statusErr := grpchttp.Status(response)
	switch {
	case statusErr != nil:
		return p, statusErr
	case code != 0:
		return p, &callError{code: code, message: clip(text)}
	case err != nil:
		return p, errMessage
	}
	return p, nil
}

// clip makes text of a server fit for a message.
func clip(s string) string { return clean(s[:min(len(s), 200)]) }
