package collect

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/etcdsec/etcdsec/audit"
)

// serveConns answers every connection as serve does, and holds it until the client ends it.
func serveConns(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return listener.Addr().String()
}

func impatient(address string) *prober {
	p := newProber(address)
	p.config.Timeout = 300 * time.Millisecond
	return p
}

// What does not come in time is no statement, wherever the answer stops. What a server says is one.
func TestCallTooLate(t *testing.T) {
	whole := framesOf(t, "0", []byte{0x0a, 0x04, 0x08, 0x01, 0x10, 0x02})
	afterRequest := func(answer []byte) func(net.Conn) {
		return func(c net.Conn) {
			awaitRequest(c)
			_, _ = c.Write(answer)
		}
	}
	atOnce := func(answer string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, answer) }
	}
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
		state audit.State
		late  bool // and so it is not waited for; else the answer comes, however busy the machine
	}{
		{"silence", func(net.Conn) {}, audit.Unclear, true},
		{"stops in the settings", afterRequest(whole[:12]), audit.Unclear, true},
		{"stops in the trailers", afterRequest(whole[:len(whole)-2]), audit.Unclear, true},
		{"an error of HTTP/1", atOnce("HTTP/1.1 400 Bad Request\r\n\r\n"), audit.Refused, false},
		{"an answer of HTTP/1 that is no refusal", atOnce("HTTP/1.1 200 OK\r\n\r\n"), audit.Unclear, false},
		{"garbage", atOnce(strings.Repeat("garbage", 10)), audit.Unclear, false},
		{"an alert", atOnce("\x15\x03\x03\x00\x02\x02\x0a" + strings.Repeat("x", 9)), audit.Refused, false},
		{"the end of the connection", func(c net.Conn) {
			awaitRequest(c)
			_ = c.Close()
		}, audit.Closed, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newProber(serveConns(t, c.serve))
			if c.late {
				p = impatient(p.endpoint.Address)
			}
			got, _ := p.call(t.Context(), audit.InPlaintext, audit.StatusRPC)
			if got.State != c.state || (got.Cause == audit.TimedOut) != c.late || got.NotGRPC || got.Reason == "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A message that stops after its beginning is late too, and not an answer that is no gRPC.
func TestCallLateInMessage(t *testing.T) {
	whole := framesOf(t, "0", make([]byte, 100))
	var body int
	framer := http2.NewFramer(io.Discard, strings.NewReader(string(whole)))
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		body += 9 + int(frame.Header().Length)
		if _, data := frame.(*http2.DataFrame); data {
			break
		}
	}
	address := serveConns(t, func(c net.Conn) {
		awaitRequest(c)
		_, _ = c.Write(whole[:body-50])
	})
	got, message := impatient(address).call(t.Context(), audit.InPlaintext, audit.StatusRPC)
	if got.State != audit.Unclear || got.Cause != audit.TimedOut || got.NotGRPC || message != nil {
		t.Errorf("got %+v", got)
	}
}

// A page that stops is answered as far as its status goes, and says nothing by what is missing.
func TestPageTooLate(t *testing.T) {
	answer := func(head, body string) string {
		return serveConns(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 "+head+"\r\nContent-Length: 9999\r\n\r\n"+body) })
	}
	for _, c := range []struct {
		name, path, head, body string
		state                  audit.State
	}{
		{"metrics", "/metrics", "200 OK", metricsPage, audit.Answered},
		{"what may be a refusal", "/version", "400 Bad Request", "Client sent an HTTP requ", audit.Unclear},
		{"what may be a proxy", "/proxy/health", "200 OK", `{"heal`, audit.Unclear},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := impatient(answer(c.head, c.body))
			got := p.fetch(t.Context(), audit.InPlaintext, c.path)
			// Where the status is an answer, it has to come in time, also on a busy machine.
			for ; got.State != c.state && got.Cause == audit.TimedOut && p.config.Timeout < time.Minute; p.config.Timeout *= 4 {
				got = p.fetch(t.Context(), audit.InPlaintext, c.path)
			}
			if got.State != c.state || got.State == audit.Unclear && got.Cause != audit.TimedOut {
				t.Errorf("got %+v", got.Page)
			}
			target := &audit.Listener{}
			noteMetrics(target, got)
			if target.Metrics != nil {
				t.Errorf("half a page of metrics is taken for a whole: %+v", target.Metrics)
			}
		})
	}
	gateway := gatewayRange(audit.InPlaintext, impatient(answer("200 OK", `{"count":`)).fetch(t.Context(), audit.InPlaintext, "/v3/kv/range"))
	if gateway.State != audit.Unclear || gateway.Cause != audit.TimedOut {
		t.Errorf("got %+v", gateway)
	}
}

// A probe whose turn does not come is not said to have been answered by silence.
func TestTurnTooLate(t *testing.T) {
	p := impatient(serveConns(t, func(net.Conn) {}))
	for range maxConnections {
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got, _ := p.call(ctx, audit.InPlaintext, audit.StatusRPC)
	if got.State != audit.Unclear || got.Cause != audit.TimedOut || got.Reason != errNotAsked.Error() {
		t.Errorf("got %+v", got)
	}
}

// The alert by which a server refuses is kept as a value.
func TestAlertIsKept(t *testing.T) {
	s := startGoServer(t, &tls.Config{MinVersion: tls.VersionTLS12})
	p := newProber(s.address)
	const handshakeFailure, expired, protocolVersion, certificateRequired tls.AlertError = 40, 45, 70, 116
	past, err := newStranger(nil, time.Now().Add(-48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		client client
		want   tls.AlertError
	}{
		"no certificate":         {client{presented: audit.NoCertificate}, certificateRequired},
		"no certificate, in 1.2": {upToTLS12(), handshakeFailure},
		"expired":                {client{presented: audit.ExpiredForeign, certificate: past}, expired},
		"TLS 1.1":                {client{presented: audit.NoCertificate, minVersion: tls.VersionTLS10, maxVersion: tls.VersionTLS11}, protocolVersion},
	} {
		if h := p.proveAdmission(t.Context(), c.client); h.State != audit.Refused || h.Alert != c.want {
			t.Errorf("%s: got %+v, want %v", name, h.Attempt, c.want)
		}
	}
}
