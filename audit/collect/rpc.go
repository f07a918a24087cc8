package collect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// Here one call is one bounded connection.

// badToken is a token that no server has issued. etcd logs that it refused it.
const badToken = "etcdsec-audit" //nolint:gosec // no credential: it is there to be refused

// request returns the call of a method. Status and MemberList have an empty message: linearizable
// is false by default.
func request(method string) etcdrpc.Call {
	call := etcdrpc.Call{Method: etcdrpc.MemberListMethod}
	switch method {
	case audit.RangeRPC, audit.BadTokenRangeRPC:
		// From the first key to the last, from this member's own store.
		all := etcdrpc.RangeRequest{From: []byte{0}, End: []byte{0}, Limit: 1, KeysOnly: true}
		call = etcdrpc.Call{Method: etcdrpc.RangeMethod, Message: all.Message()}
	case audit.StatusRPC:
		call.Method = etcdrpc.StatusMethod
	}
	if method == audit.BadTokenRangeRPC || method == audit.BadTokenMemberListRPC {
		call.Token = badToken
	}
	return call
}

// maxMessage is far larger than a member list, and larger than a Status with every error set.
const maxMessage = 256 << 10

// call makes one unary gRPC call and returns the response message.
func (p *prober) call(ctx context.Context, access audit.Access, method string) (audit.RPC, []byte) {
	result := audit.RPC{Access: access, Method: method}
	raw, over, attempt := p.open(ctx, access)
	if raw == nil {
		result.Attempt = attempt
		return result, nil
	}
	defer func() { _ = raw.Close() }()
	client := etcdrpc.Over(over, p.authority(), "etcdsec-audit")
	defer client.Close()
	began := p.clock()
	var message []byte
	err := client.Do(ctx, request(method), func(body io.Reader) error {
		var err error
		message, err = etcdrpc.ReadMessage(body, maxMessage)
		return err
	})
	if fault, broken := errors.AsType[*etcdrpc.ConnError](err); broken {
		result.Attempt = p.failedCall(ctx, fault, access, raw)
		return result, nil
	}
	result.State = audit.Answered
	if status, answered := errors.AsType[*etcdrpc.StatusError](err); answered {
		result.Code, result.Message, result.Refusal = int(status.Code), cleanText(status.Message), audit.RefusalOf(status.Message)
		message = nil
	} else if err != nil {
		// That is an answer all the same: whatever it is, it let the caller in.
		other, _ := errors.AsType[*etcdrpc.NotGRPCError](err)
		result.Code, result.NotGRPC, result.Message = int(etcdrpc.Unknown), other != nil && !other.Unfinished, cleanText(err.Error())
		return result, nil
	}
	result.Took = p.clock().Sub(began)
	if result.Code == int(etcdrpc.OK) {
		if fault := checkAnswer(method, message); fault != nil {
			result.Code, result.Message = int(etcdrpc.Unknown), fault.Error()
			return result, nil
		}
	}
	p.identify(message)
	return result, message
}

// checkAnswer returns why a message with the status OK is no answer of etcd's; nil if it is one. A
// message without a field is a valid message of protobuf in which nothing is wrong: no alarm, no key.
func checkAnswer(method string, message []byte) error {
	members := false
	if err := etcdrpc.Fields(message, func(f etcdrpc.Field) error {
		members = members || f.Number == 2 && f.Type == protowire.BytesType
		return nil
	}); err != nil {
		return err
	}
	switch method {
	case audit.StatusRPC:
		// Each etcd tells its cluster and its own ID. Without these nobody knows whose Status it is.
		if responseHeader(message).ClusterID == 0 {
			return errors.New("the answer names no cluster, as etcd's does")
		}
	case audit.MemberListRPC, audit.BadTokenMemberListRPC: // a grpc-proxy sends no header
		if !members {
			return errors.New("the answer lists no member")
		}
	default:
		// Every store has a revision, the empty one 1; kine has no more in its header.
		if responseHeader(message).Revision <= 0 {
			return errors.New("the answer names no revision, as etcd's does")
		}
	}
	return nil
}

// identify notes the cluster and the member that answered, if the message names them.
func (p *prober) identify(message []byte) {
	header := responseHeader(message)
	if header.ClusterID == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clusterID, p.memberID = header.ClusterID, header.MemberID
}

// open opens the connection for a call.
func (p *prober) open(ctx context.Context, access audit.Access) (*conn, net.Conn, audit.Attempt) {
	if access == audit.InPlaintext {
		raw, err := p.dial(ctx)
		if err != nil {
			return nil, nil, p.failedAttempt(err)
		}
		return raw, raw, audit.Attempt{}
	}
	h, raw, secured := p.handshake(ctx, p.client(access, "h2"))
	if raw != nil && h.ALPN != "h2" {
		_ = raw.Close()
		return nil, nil, audit.Attempt{State: audit.Refused, Cause: audit.NotSpoken, Reason: "the server does not negotiate HTTP/2"}
	}
	return raw, secured, h.Attempt
}

// failedCall does what failedAttempt does, for an error of the HTTP/2 transport, which hides the
// connection's error. Only the server's answer, or the way the connection ended, is a refusal.
func (p *prober) failedCall(ctx context.Context, fault error, access audit.Access, raw *conn) audit.Attempt {
	if access == audit.InPlaintext {
		if reason := raw.refusal(); reason != "" {
			return audit.Attempt{State: audit.Refused, Cause: audit.NotSpoken, Reason: reason}
		}
	}
	if ctx.Err() != nil {
		return p.failedAttempt(ctx.Err())
	}
	if cause := raw.cause(nil); cause != nil {
		return p.failedAttempt(cause)
	}
	if attempt := p.failedAttempt(fault); attempt.State != audit.Unclear || attempt.Cause == audit.TimedOut {
		return attempt
	}
	return audit.Attempt{State: audit.Unclear, Reason: "the answer is not HTTP/2"}
}

// refusal explains, from the first bytes of an answer, why the server does not speak HTTP/2
// without TLS. It is empty if they do not show that: they may be garbage, or the beginning of an
// answer that came too late.
func (c *conn) refusal() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.first) >= 2 && c.first[0] == tlsAlert && c.first[1] == tlsMajor {
		return "the answer is a TLS alert"
	}
	const status = len("HTTP/1.1 ")
	if bytes.HasPrefix(c.first, []byte("HTTP/1.")) && len(c.first) > status && (c.first[status] == '4' || c.first[status] == '5') {
		return "the answer is an error of HTTP/1"
	}
	return ""
}
