// Package etcdrpc makes the gRPC calls of the auditor over net/http. For every answer of a server it
// limits the time, the headers, the frames, and the memory for the answer. grpc-go reconnects,
// resolves and backs off by itself, reads a whole message before its caller sees it, and makes the
// start of every command a third slower.
package etcdrpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The procedures that the auditor calls (etcd's api/etcdserverpb/rpc.proto).
const (
	RangeMethod       = "/etcdserverpb.KV/Range"
	RangeStreamMethod = "/etcdserverpb.KV/RangeStream" // from etcd 3.7 on
	StatusMethod      = "/etcdserverpb.Maintenance/Status"
	MemberListMethod  = "/etcdserverpb.Cluster/MemberList"
)

const (
	// maxHeaderBytes limits the headers and the trailers that a server may send. etcd sends less than 1 KiB.
	maxHeaderBytes = 64 << 10
	// receiveWindow limits the bytes that a server may send before they are read.
	receiveWindow = 1 << 20
)

// Client makes calls to one client port of etcd. Several goroutines may use it.
type Client struct {
	base      url.URL // scheme and host
	agent     string  // names the caller in the server's log
	transport *http.Transport
}

// Config says which port to call, and how.
type Config struct {
	Address string      // host:port
	TLS     *tls.Config // nil speaks HTTP/2 without TLS
	Timeout time.Duration
	Agent   string // names the caller in the server's log
}

// New returns a client that connects when a call needs a connection. Config.Timeout limits the time
// of the TCP connection and that of the TLS handshake.
func New(config Config) *Client {
	dialer := net.Dialer{Timeout: config.Timeout}
	c := &Client{base: url.URL{Scheme: "http", Host: config.Address}, agent: config.Agent, transport: newTransport()}
	c.transport.DialContext = dialer.DialContext
	c.transport.TLSHandshakeTimeout = config.Timeout
	c.transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: receiveWindow, MaxReceiveBufferPerConnection: receiveWindow}
	if config.TLS != nil {
		c.base.Scheme = "https"
		c.transport.TLSClientConfig = config.TLS.Clone()
	}
	c.speakHTTP2(config.TLS != nil)
	return c
}

// Over returns a client for one open connection, which has TLS if it is a *tls.Conn. The client
// never opens another one: a transport that dials uses a goroutine that may outlive the call, and
// dials again after a fault.
func Over(c net.Conn, address, agent string) *Client {
	var used atomic.Bool
	dial := func(context.Context, string, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errors.New("the only connection is already in use or closed")
		}
		return c, nil
	}
	client := &Client{base: url.URL{Scheme: "http", Host: address}, agent: agent, transport: newTransport()}
	client.transport.DialContext, client.transport.DialTLSContext = dial, dial
	_, secured := c.(*tls.Conn)
	if secured {
		client.base.Scheme = "https"
	}
	client.speakHTTP2(secured)
	return client
}

func newTransport() *http.Transport {
	return &http.Transport{
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// speakHTTP2 allows only HTTP/2.
func (c *Client) speakHTTP2(secured bool) {
	c.transport.Protocols.SetHTTP2(secured)
	c.transport.Protocols.SetUnencryptedHTTP2(!secured)
}

// Address returns the host:port that the client calls.
func (c *Client) Address() string { return c.base.Host }

// Close closes the connections that no call uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Call is one request.
type Call struct {
	Method  string // such as RangeMethod
	Message []byte // the request, without its frame
	Token   string // of etcd's authentication; empty for none
	// Timeout is sent to the server, which may stop then; 0 sends none. The client itself is limited
	// only by the context.
	Timeout time.Duration
}

// Do makes a call and gives the frames of the answer to read. read must return an error or read to
// the end of the body, because the status comes after it. If the answer has no message, read returns
// ErrNoMessage, and the status has the reason.
//
// The error is a *ConnError if the connection failed or broke, a *NotGRPCError if the answer is not
// gRPC, the error of read, or a *StatusError. If the status is OK without a message, it is
// ErrNoMessage.
func (c *Client) Do(ctx context.Context, call Call, read func(body io.Reader) error) error {
	to := c.base
	to.Path = call.Method
	header := http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {c.agent}}
	if call.Token != "" {
		header.Set("Token", call.Token)
	}
	if call.Timeout > 0 {
		header.Set("Grpc-Timeout", strconv.FormatInt(call.Timeout.Milliseconds(), 10)+"m")
	}
	response, err := c.transport.RoundTrip((&http.Request{
		Method:        http.MethodPost,
		URL:           &to,
		Host:          to.Host,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(encodeFrame(call.Message))),
		ContentLength: -1,
	}).WithContext(ctx))
	if err != nil {
		return connError(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/grpc") {
		return &NotGRPCError{HTTPStatus: response.StatusCode}
	}
	body := &connReader{ctx: ctx, from: response.Body}
	readErr := read(body)
	if readErr != nil && !errors.Is(readErr, ErrNoMessage) {
		if _, broken := errors.AsType[*ConnError](readErr); !broken && errors.Is(readErr, io.ErrUnexpectedEOF) {
			return ErrCutOff
		}
		return readErr
	}
	if err := readStatus(response); err != nil {
		return err
	}
	return readErr
}

// connReader marks a read error of a body as an error of the connection.
type connReader struct {
	ctx  context.Context //nolint:containedctx // of the one call that the reader is for
	from io.Reader
}

func (r *connReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = connError(r.ctx, err)
	}
	return n, err
}

// readStatus reads the gRPC status of a response whose body was read to its end. An answer without a
// body has the status in the headers (gRPC over HTTP/2, "Trailers-Only"). The server sends the message
// percent-encoded.
func readStatus(response *http.Response) error {
	code, message := response.Trailer.Get("Grpc-Status"), response.Trailer.Get("Grpc-Message")
	if code == "" {
		code, message = response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message")
	}
	number, err := strconv.ParseUint(code, 10, 31)
	if err != nil {
		return &NotGRPCError{HTTPStatus: response.StatusCode, Unfinished: true}
	}
	if number == uint64(OK) {
		return nil
	}
	if plain, err := url.PathUnescape(message); err == nil {
		message = plain
	}
	return newStatusError(Code(number), message)
}
