package collect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// maxRead bounds the bytes that are read from one connection. The largest honest answer is a page of
// metrics, of which only the beginning is read.
const maxRead = 1 << 20

var errTooLong = fmt.Errorf("the answer does not end within %d KiB", maxRead>>10)

// conn is a connection that ends with its probe, whatever the server does: it has one
// absolute deadline, a budget of bytes, and closes when the audit is cancelled.
type conn struct {
	net.Conn
	release func()

	mu     sync.Mutex
	budget int
	fault  error  // the first
	first  []byte // the first bytes that were read, maxFirst at most
}

// maxFirst is long enough to tell the answers of HTTP/1 and of TLS.
const maxFirst = 16

func (c *conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	budget := c.budget
	c.mu.Unlock()
	if budget == 0 {
		c.failed(errTooLong)
		return 0, errTooLong
	}
	n, err := c.Conn.Read(b[:min(len(b), budget)])
	c.mu.Lock()
	c.budget -= n
	c.first = append(c.first, b[:min(n, maxFirst-len(c.first))]...)
	c.mu.Unlock()
	if err != nil {
		c.failed(err)
	}
	return n, err
}

// Write keeps its error, because a protocol closes the connection after one. A waiting Read then
// reports only that the connection was closed, as at the deadline.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.failed(err)
	}
	return n, err
}

func (c *conn) failed(err error) {
	if errors.Is(err, net.ErrClosed) {
		return // by this end, for a reason of its own
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil {
		c.fault = err
	}
}

// cause returns the fault of the connection below err, if there was one: a protocol's own error
// may not wrap it.
func (c *conn) cause(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return c.fault
	}
	return err
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}

// errNotAsked means that the time for the target ended before the probe could start.
var errNotAsked = errors.New("the time for this target ended before this was asked")

// dial opens a connection when fewer than maxConnections are open to the target.
func (p *prober) dial(ctx context.Context) (*conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, errNotAsked
		}
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	began := p.clock()
	raw, err := p.endpoint.dial(ctx)
	p.noteAttempt(raw, err, p.clock().Sub(began))
	if err != nil {
		cancel()
		<-p.slots
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		cancel()
		_ = raw.Close()
		<-p.slots
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	var once sync.Once
	return &conn{Conn: raw, budget: maxRead, release: func() {
		once.Do(func() {
			stop()
			cancel()
			<-p.slots
		})
	}}, nil
}

// clock returns the time; it is zero for a prober that measures nothing.
func (p *prober) clock() time.Time {
	if p.config.Now == nil {
		return time.Time{}
	}
	return p.config.Now()
}

// noteAttempt notes whether the connection was made. One success counts more than any
// failure.
func (p *prober) noteAttempt(c net.Conn, err error, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.reach = audit.Attempt{State: audit.Answered}
		if p.distance == 0 || took < p.distance {
			p.distance = took
		}
		if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
			p.remoteIP = at.Addr().Unmap()
		}
		return
	}
	if p.reach.State != audit.Answered {
		p.reach = p.failedAttempt(err)
		if errors.Is(err, syscall.ECONNREFUSED) {
			p.reach.State = audit.Refused
		}
	}
}

// failedAttempt returns the attempt that failed with an error, described without addresses and
// ports. It is Closed if the server ended the connection, but not if no answer came in time.
func (p *prober) failedAttempt(err error) audit.Attempt {
	if alert, sent := etcdrpc.Alert(err); sent {
		return audit.Attempt{State: audit.Refused, Reason: alertText(alert), Alert: alert}
	}
	var op *net.OpError
	var dns *net.DNSError
	var notTLS tls.RecordHeaderError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errNotAsked):
		return audit.Attempt{State: audit.Unclear, Cause: audit.TimedOut, Reason: errNotAsked.Error()}
	case errors.Is(err, errTooLong):
		return audit.Attempt{State: audit.Unclear, Reason: errTooLong.Error()}
	case errors.Is(err, context.Canceled):
		return audit.Attempt{State: audit.Unclear, Cause: audit.WasInterrupt, Reason: audit.Interrupted}
	case errors.As(err, &dns) && !dns.IsTimeout:
		return audit.Attempt{State: audit.Unclear, Reason: fmt.Sprintf("looking up %q: %s", dns.Name, dns.Err)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		// A connection that its context closed at the deadline reports only that.
		errors.Is(err, net.ErrClosed),
		errors.As(err, &timeout) && timeout.Timeout():
		return audit.Attempt{State: audit.Unclear, Cause: audit.TimedOut, Reason: fmt.Sprintf("no answer within %s", p.config.Timeout.Round(time.Millisecond))}
	case errors.Is(err, syscall.ECONNREFUSED):
		return audit.Attempt{State: audit.Unclear, Reason: "connection refused"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return audit.Attempt{State: audit.Closed, Reason: "the connection was reset"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return audit.Attempt{State: audit.Closed, Reason: "the connection was closed without an answer"}
	case errors.As(err, &notTLS):
		return audit.Attempt{State: audit.Unclear, Cause: audit.NotSpoken, Reason: "the answer is not TLS"}
	case errors.As(err, &op):
		return audit.Attempt{State: audit.Unclear, Reason: fmt.Sprintf("%s: %v", op.Op, op.Err)}
	default:
		return audit.Attempt{State: audit.Unclear, Reason: fmt.Sprintf("%.200q", err.Error())}
	}
}
