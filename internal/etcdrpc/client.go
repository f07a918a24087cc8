// Package etcdrpc makes the gRPC calls of the auditor over net/http. Whatever the server answers,
// a call is bounded byte for byte: its time, its headers, its frames, and what is held of its
// answer. grpc-go reconnects, resolves and backs off on its own, holds a message as a whole before
// anybody sees it, and costs every command a third of its start-up time.
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
	// maxHeaderBytes bounds what a server may send of headers and of trailers. etcd sends less than 1 KiB.
	maxHeaderBytes = 64 << 10
	// receiveWindow bounds what a server may send ahead of being read.
	receiveWindow = 1 << 20
)

// Client makes calls to one client port of etcd. It may be used by several goroutines.
type Client struct {
	base      url.URL // scheme and host
	agent     string  // names the caller in the server's log
	transport *http.Transport
}

// Config says whom to call, and how.
type Config struct {
	Address string      // host:port
	TLS     *tls.Config // nil speaks HTTP/2 without TLS
	Timeout time.Duration
	Agent   string // names the caller in the server's log
}

// New returns a client that connects when a call needs a connection. Config.Timeout bounds the
// TCP connection and the TLS handshake, each.
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

// Over returns a client for one connection that is open already, and TLS if it is a *tls.Conn. It
// never makes another one: a transport that dials does so in a goroutine that may outlive the
// call, and dials again after a fault.
func Over(c net.Conn, address, agent string) *Client {
	var used atomic.Bool
	dial := func(context.Context, string, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errors.New("the connection was used up")
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

// speakHTTP2 allows HTTP/2 and nothing else.
func (c *Client) speakHTTP2(secured bool) {
	c.transport.Protocols.SetHTTP2(secured)
	c.transport.Protocols.SetUnencryptedHTTP2(!secured)
}

// Address returns the host:port that is called.
func (c *Client) Address() string { return c.base.Host }

// Close closes the connections that no call uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Call is one request.
type Call struct {
	Method  string // such as RangeMethod
	Message []byte // the request, without its frame
	Token   string // of etcd's authentication; empty for none
	// Timeout is told to the server, which may stop when nobody waits any more; 0 is not told.
	// It bounds nothing here: the context does.
	Timeout time.Duration
}

// Do makes a call and gives the frames of the answer to read. read must read to the end of the body,
// for the status comes behind it, or return an error. Where the server answers with no message,
// read returns ErrNoMessage, and the status says why.
//
// The error is a *ConnError of a connection that was not made or broke, a *NotGRPCError of an
// answer that is not gRPC, the error of read, or a *StatusError. ErrNoMessage is returned where the
// status is OK all the same.
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

// connReader marks what ends the reading of a body, other than its end, as the connection's.
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
// body has it in the headers (gRPC over HTTP/2, "Trailers-Only"). The message is percent-encoded
// on its way.
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
