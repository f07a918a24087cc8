package census

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The calls are made over net/http: grpc-go would decode whole pages before they are seen.

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
	dialer := net.Dialer{Timeout: timeout}
	transport := &http.Transport{
		Protocols:              new(http.Protocols),
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config.Clone(),
		TLSHandshakeTimeout:    timeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: window, MaxReceiveBufferPerConnection: window},
	}
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
	body := r.frame()
	response, err := e.transport.RoundTrip((&http.Request{
		Method: http.MethodPost,
		URL:    e.url,
		Host:   e.url.Host,
		Header: http.Header{
			"Content-Type": {"application/grpc"},
			"Te":           {"trailers"},
			"User-Agent":   {"etcdsec-census"},
			// A member that is slow may stop when nobody waits any more.
			"Grpc-Timeout": {strconv.FormatInt(timeout.Milliseconds(), 10) + "m"},
		},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: -1,
	}).WithContext(ctx))
	if err != nil {
		return page{}, explained(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/grpc") {
		return page{}, notGRPC(response)
	}
	p, err := d.decode(response.Body, add)
	if err != nil && !errors.Is(err, errNoMessage) {
		return p, explained(ctx, err)
	}
	// An answer without a body has its status in the headers (gRPC over HTTP/2, "Trailers-Only").
	status, text := response.Trailer.Get("Grpc-Status"), response.Trailer.Get("Grpc-Message")
	if status == "" {
		status, text = response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message")
	}
	code, parseErr := strconv.Atoi(status)
	switch {
	case parseErr != nil:
		return p, notGRPC(response)
	case code != 0:
		return p, &callError{code: code, message: clip(unescaped(text))}
	case err != nil:
		return p, errMessage
	}
	return p, nil
}

// explained is an error of the connection in words for people.
func explained(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; --cacert names the CAs of etcd's server certificates", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed before the end of the answer")
	default:
		return err
	}
}

func notGRPC(response *http.Response) error {
	return fmt.Errorf("the answer is HTTP %d and not gRPC", response.StatusCode)
}

// unescaped is a Grpc-Message as it was meant: percent-encoded on its way.
func unescaped(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// clip makes text of a server fit for a message.
func clip(s string) string { return clean(s[:min(len(s), 200)]) }
