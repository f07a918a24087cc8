// Package grpchttp makes unary gRPC calls over net/http, for callers that want each call bounded
// and each answer as it came: grpc-go reconnects, resolves and backs off on its own, decodes what
// it reads before it is seen, and costs every command a third of its start-up time.
package grpchttp

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

// ErrNoStatus is an answer that gRPC does not give.
var ErrNoStatus = errors.New("the answer has no gRPC status")

// NewTransport speaks HTTP/2 with certificates, and nothing else. timeout is for each connection.
func NewTransport(config *tls.Config, timeout time.Duration) *http.Transport {
	dialer := net.Dialer{Timeout: timeout}
	transport := &http.Transport{
		Protocols:              new(http.Protocols),
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config.Clone(),
		TLSHandshakeTimeout:    timeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	transport.Protocols.SetHTTP2(true)
	return transport
}

// Header is that of a request; agent names the caller in the server's log.
func Header(agent string) http.Header {
	return http.Header{
		"Content-Type": {"application/grpc"},
		"Te":           {"trailers"},
		"User-Agent":   {agent},
	}
}

// Post sends a request, whose body is a frame: a flag for compression, the length in four bytes,
// the message. The answer's body is the caller's to bound and to close.
func Post(ctx context.Context, over http.RoundTripper, to *url.URL, header http.Header, frame []byte) (*http.Response, error) {
	return over.RoundTrip((&http.Request{
		Method:        http.MethodPost,
		URL:           to,
		Host:          to.Host,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(frame)),
		ContentLength: -1,
	}).WithContext(ctx))
}

// Answers says whether a response is gRPC's; the error says what it is.
func Answers(response *http.Response) error {
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/grpc") {
		return fmt.Errorf("the answer is HTTP %d and not gRPC", response.StatusCode)
	}
	return nil
}

// Status is the gRPC status of a response whose body was read to its end, and the message with it
// as it was meant: it is percent-encoded on its way. An answer without a body has both in the
// headers (gRPC over HTTP/2, "Trailers-Only").
func Status(response *http.Response) (code int, message string, err error) {
	status, message := response.Trailer.Get("Grpc-Status"), response.Trailer.Get("Grpc-Message")
	if status == "" {
		status, message = response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message")
	}
	if code, err = strconv.Atoi(status); err != nil {
		return 0, "", ErrNoStatus
	}
	if plain, err := url.PathUnescape(message); err == nil {
		message = plain
	}
	return code, message, nil
}

// Explain is an error of the connection in words for people.
func Explain(ctx context.Context, err error) error {
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
