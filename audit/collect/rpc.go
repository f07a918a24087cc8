package collect

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/grpchttp"
)

// Here one call is one bounded connection.

func procedure(method string) string {
	switch method {
	case audit.RangeRPC, audit.BadTokenRangeRPC:
		return "/etcdserverpb.KV/Range"
	case audit.StatusRPC:
		return "/etcdserverpb.Maintenance/Status"
	default:
		return "/etcdserverpb.Cluster/MemberList"
	}
}

// badToken is no token of any server. etcd logs that it was refused.
const badToken = "etcdsec-audit" //nolint:gosec // no credential: it is there to be refused

// header is that of a gRPC request.
func header(method string) http.Header {
	h := grpchttp.Header("etcdsec-audit")
	if method == audit.BadTokenRangeRPC || method == audit.BadTokenMemberListRPC {
		h.Set("Token", badToken)
	}
	return h
}

// maxMessage is far above a member list, and above a Status with every error set.
const maxMessage = 256 << 10

// call makes one unary gRPC call and returns the response message.
func (p *prober) call(ctx context.Context, access audit.Access, method string) (audit.RPC, []byte) {
	result := audit.RPC{Access: access, Method: method}
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()

	raw, over, attempt := p.open(ctx, access)
	if raw == nil {
		result.Attempt = attempt
		return result, nil
	}
	defer func() { _ = raw.Close() }()
	transport := transportOver(over)
	defer transport.CloseIdleConnections()
	target := &url.URL{Scheme: "https", Host: p.endpoint.Address, Path: procedure(method)}
	if access == audit.InPlaintext {
		target.Scheme = "http"
	}
	began := p.clock()
	response, err := grpchttp.Post(ctx, transport, target, header(method), frame(request(method)))
	if err != nil {
		result.Attempt = p.failedCall(ctx, raw)
		return result, nil
	}
	defer func() { _ = response.Body.Close() }()

	message, err := readMessage(response.Body)
	if errors.Is(err, errNoMessage) {
		err = nil // an error has no message; the status says what it is
	}
	if err != nil {
		return spoilt(result, err), nil
	}
	code, text, err := grpchttp.Status(response)
	if err != nil {
		return spoilt(result, fmt.Errorf("HTTP/2 status %d without a gRPC status", response.StatusCode)), nil
	}
	result.State = audit.Answered
	result.Took = p.clock().Sub(began)
	result.Code = code
	result.Message = cleanText(text)
	p.identified(message)
	return result, message
}

// identified notes the cluster and the member that answered, if the message tells them.
func (p *prober) identified(message []byte) {
	clusterID, memberID := responseHeader(message)
	if clusterID == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clusterID, p.memberID = clusterID, memberID
}

// spoilt is a call that was answered in HTTP/2, but not as gRPC answers. That is an answer
// all the same: whatever it is, it let the caller in.
func spoilt(result audit.RPC, err error) audit.RPC {
	result.State = audit.Answered
	result.Code, result.NotGRPC = unknownCode, true
	result.Message = cleanText(err.Error())
	return result
}

// open makes the connection that a call goes over.
func (p *prober) open(ctx context.Context, access audit.Access) (*conn, net.Conn, audit.Attempt) {
	if access == audit.InPlaintext {
		raw, err := p.dial(ctx)
		if err != nil {
			return nil, nil, p.failedAttempt(err)
		}
		return raw, raw, audit.Attempt{}
	}
	h, raw, secured := p.handshake(ctx, p.client(access, "h2"))
	return raw, secured, h.Attempt
}

// transportOver speaks HTTP/2 over one connection that is open already. A transport that
// dials does so in a goroutine that may outlive the call, and would dial again after a fault.
func transportOver(c net.Conn) *http.Transport {
	var dialled atomic.Bool
	dial := func(context.Context, string, string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, errors.New("the connection was used up")
		}
		return c, nil
	}
	transport := &http.Transport{
		Protocols:              new(http.Protocols),
		DialContext:            dial,
		DialTLSContext:         dial,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if _, secured := c.(*tls.Conn); secured {
		transport.Protocols.SetHTTP2(true)
	} else {
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return transport
}

// unknownCode is gRPC's UNKNOWN.
const unknownCode = 2

// failedCall is failedAttempt for an error of the HTTP/2 transport, which hides the connection's.
func (p *prober) failedCall(ctx context.Context, raw *conn) audit.Attempt {
	if ctx.Err() != nil {
		return p.failedAttempt(ctx.Err())
	}
	cause := raw.cause(nil)
	if cause == nil {
		return audit.Attempt{State: audit.Refused, Reason: "the answer is not HTTP/2"}
	}
	return p.failedAttempt(cause)
}

var errNoMessage = errors.New("no message")

// frame puts a message into a gRPC frame: a flag for compression, the length, the message.
func frame(message []byte) []byte {
	length := uint32(len(message)) //nolint:gosec // the messages are those of request, of 12 bytes at most
	return append(binary.BigEndian.AppendUint32([]byte{0}, length), message...)
}

// readMessage reads the message of a unary answer to its end, so that the trailers are there.
func readMessage(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxMessage {
		return nil, fmt.Errorf("the message is longer than %d KiB", maxMessage>>10)
	}
	if len(body) == 0 {
		return nil, errNoMessage
	}
	const head = 5
	if len(body) < head || body[0] != 0 || int64(binary.BigEndian.Uint32(body[1:head])) != int64(len(body)-head) {
		return nil, errors.New("the answer is not one uncompressed gRPC message")
	}
	return body[head:], nil
}
