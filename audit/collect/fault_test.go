package collect_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// faultyServer answers every connection as serve does and counts.
type faultyServer struct {
	address   string
	open      atomic.Int64
	mostOpen  atomic.Int64
	written   atomic.Int64
	done      chan struct{}
	listener  net.Listener
	following sync.WaitGroup
}

func startFaulty(t *testing.T, serve func(s *faultyServer, c net.Conn)) *faultyServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &faultyServer{address: listener.Addr().String(), done: make(chan struct{}), listener: listener}
	s.following.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.following.Go(func() {
				defer func() { _ = c.Close() }()
				now := s.open.Add(1)
				defer s.open.Add(-1)
				for {
					most := s.mostOpen.Load()
					if now <= most || s.mostOpen.CompareAndSwap(most, now) {
						break
					}
				}
				serve(s, c)
			})
		}
	})
	return s
}

func (s *faultyServer) stop() {
	close(s.done)
	_ = s.listener.Close()
	s.following.Wait()
}

// untilGone waits for the client to end the connection, or the test the server.
func (s *faultyServer) untilGone(c net.Conn) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	select {
	case <-gone:
	case <-s.done:
		_ = c.Close()
		<-gone
	}
}

// pour writes the same bytes until the client has enough.
func (s *faultyServer) pour(c net.Conn, first, endless string) {
	go func() { _, _ = io.Copy(io.Discard, c) }()
	n, err := io.WriteString(c, first)
	s.written.Add(int64(n))
	for err == nil {
		n, err = io.WriteString(c, endless)
		s.written.Add(int64(n))
	}
}

func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// drip sends one byte at a time, slower than any probe's patience for the whole.
func (s *faultyServer) drip(c net.Conn, text string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-s.done:
			return
		}
	}
}

const (
	settingsFrame = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	pingFrame     = "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"
)

func TestFaults(t *testing.T) {
	now := time.Now()
	ca := newCA(t, "faulty", now)
	leaf := newLeaf(t, ca, throwaway.Leaf{EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	overTLS := func(protocols []string, serve func(*faultyServer, *tls.Conn)) func(*faultyServer, net.Conn) {
		return func(s *faultyServer, c net.Conn) {
			secured := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequestClientCert, NextProtos: protocols})
			if secured.Handshake() == nil {
				serve(s, secured)
			}
		}
	}

	for _, c := range []struct {
		name   string
		serve  func(*faultyServer, net.Conn)
		reason string // part of the evidence of client-cert-required
		// answers are checks that may be told for all the fault, and how.
		answers map[string]audit.Verdict
		// timeout of a probe; 0 is 300 ms. It is long where the server has to say something for the
		// answers that are expected, for the machine may be busy.
		timeout time.Duration
	}{
		{name: "silent", serve: func(s *faultyServer, c net.Conn) { s.untilGone(c) }, reason: "no answer within"},
		{name: "garbage", timeout: collect.DefaultTimeout, serve: func(s *faultyServer, c net.Conn) {
			_, _ = io.WriteString(c, strings.Repeat("\x00\x01garbage\xff\n", 20))
			s.untilGone(c)
		}, reason: "not TLS"},
		{name: "endless garbage", timeout: collect.DefaultTimeout, serve: func(s *faultyServer, c net.Conn) { s.pour(c, "", strings.Repeat("A", 4096)) }, reason: "not TLS"},
		{name: "endless headers", timeout: collect.DefaultTimeout, serve: func(s *faultyServer, c net.Conn) {
			s.pour(c, "HTTP/1.1 200 OK\r\n", strings.Repeat("X-Header: "+strings.Repeat("x", 100)+"\r\n", 40))
		}, reason: "not TLS"},
		{name: "one endless header", timeout: collect.DefaultTimeout, serve: func(s *faultyServer, c net.Conn) {
			s.pour(c, "HTTP/1.1 200 OK\r\nX-Header: ", strings.Repeat("x", 4096))
		}, reason: "not TLS"},
		// HTTP was spoken in plaintext, whatever follows: that can be told.
		{name: "endless body", serve: func(s *faultyServer, c net.Conn) {
			s.pour(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat("x", 4096)+"\r\n")
		}, timeout: collect.DefaultTimeout, answers: map[string]audit.Verdict{
			"client-plaintext": audit.Fail, "client-cert-required": audit.Fail, "client-foreign-ca": audit.Skip, "metrics-exposed": audit.Fail,
			"debug-exposed": audit.Fail, "tls-version-min": audit.Skip, "cert-expiry": audit.Skip, "cert-san-mismatch": audit.Skip,
			"client-expired-cert": audit.Skip, "client-wrong-eku": audit.Skip, "client-revoked-cert": audit.Skip, "client-system-roots": audit.Skip,
			"browser-reachable": audit.Fail, // by whatever name it is asked
		}},
		{name: "endless HTTP/2 in plaintext", timeout: collect.DefaultTimeout, serve: func(s *faultyServer, c net.Conn) {
			s.pour(c, settingsFrame, strings.Repeat(pingFrame, 100))
		}, reason: "not TLS"},
		{name: "endless TLS records", timeout: collect.DefaultTimeout, serve: func(s *faultyServer, c net.Conn) {
			// Handshake records that carry a message of 60 KiB after another.
			s.pour(c, "", "\x16\x03\x03\x40\x00\x0b\x00\xf0\x00"+strings.Repeat("x", 16380))
		}, reason: "no certificate: "},
		{name: "reset", serve: func(_ *faultyServer, c net.Conn) { reset(c) }, reason: "connection was"},
		{name: "reset after the request", serve: func(_ *faultyServer, c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			reset(c)
		}, reason: "the connection was reset"},
		{name: "closed at once", serve: func(*faultyServer, net.Conn) {}, reason: "connection was"},
		{name: "dripping HTTP", serve: func(s *faultyServer, c net.Conn) { s.drip(c, "HTTP/1.1 200 OK\r\nX: ") }, timeout: time.Second, reason: "not TLS"},
		{name: "dripping TLS", serve: func(s *faultyServer, c net.Conn) { s.drip(c, "\x16\x03\x03\x01\x00\x02\x00\x00\xfc\x03\x03") }, reason: "no answer within"},
		{name: "silent after the handshake", serve: overTLS([]string{"h2"}, func(s *faultyServer, c *tls.Conn) { s.untilGone(c) }),
			timeout: 2 * time.Second, reason: "no answer within", answers: map[string]audit.Verdict{"tls-version-min": audit.Pass, "cert-expiry": audit.Pass, "cert-san-mismatch": audit.Pass}},
		{name: "garbage after the handshake", serve: overTLS([]string{"h2"}, func(s *faultyServer, c *tls.Conn) {
			_, _ = io.WriteString(c, strings.Repeat("garbage", 10))
			s.untilGone(c)
		}), timeout: collect.DefaultTimeout, reason: "not HTTP/2", answers: map[string]audit.Verdict{"tls-version-min": audit.Pass, "cert-expiry": audit.Pass, "cert-san-mismatch": audit.Pass}},
		{name: "closed after the handshake", serve: overTLS([]string{"h2"}, func(*faultyServer, *tls.Conn) {}), timeout: collect.DefaultTimeout,
			reason: "may be a refusal or a fault", answers: map[string]audit.Verdict{"tls-version-min": audit.Pass, "cert-expiry": audit.Pass, "cert-san-mismatch": audit.Pass}},
		{name: "endless HTTP/2 after the handshake", serve: overTLS([]string{"h2", "http/1.1"}, func(s *faultyServer, c *tls.Conn) {
			s.pour(c, settingsFrame, strings.Repeat(pingFrame, 100))
		}), timeout: collect.DefaultTimeout, answers: map[string]audit.Verdict{
			// It goes on without a certificate: that much is certain.
			"client-cert-required": audit.Fail, "client-foreign-ca": audit.Fail, "client-system-roots": audit.Skip,
			"client-expired-cert": audit.Fail, "client-wrong-eku": audit.Fail, "client-revoked-cert": audit.Fail,
			"tls-version-min": audit.Pass, "cert-expiry": audit.Pass, "cert-san-mismatch": audit.Pass,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := startFaulty(t, c.serve)
			answers := withTLSAnswers(c.answers)
			// differences returns what is not as expected, and whether all of that is an answer which
			// did not come in time.
			differences := func(report audit.Report) (all []string, late bool) {
				late = true
				differs := func(r audit.Result, format string, args ...any) {
					late = late && r.Verdict == audit.Unknown && strings.Contains(r.Evidence, silence)
					all = append(all, r.CheckID+": "+fmt.Sprintf(format, args...))
				}
				for _, r := range report.Results {
					want, told := answers[r.CheckID]
					if !told && strings.HasPrefix(r.CheckID, "cert-") {
						want, told = answers["cert-expiry"]
					}
					if r.CheckID == "cert-outlives-ca" && want == audit.Pass {
						want = audit.Skip // the leaf alone is served
					}
					if !told {
						want = audit.Unknown
					}
					// A closed or garbled plaintext beside good TLS is a refusal.
					if !told && c.answers["cert-expiry"] == audit.Pass && (r.CheckID == "client-plaintext" || r.CheckID == "browser-reachable") {
						continue
					}
					if r.Verdict != want {
						differs(r, "%s, want %s: %s", r.Verdict, want, r.Evidence)
					}
					if r.Evidence == "" {
						differs(r, "%s without evidence", r.Verdict)
					}
					if r.CheckID == "client-cert-required" && !strings.Contains(r.Evidence, c.reason) {
						differs(r, "%q, want %q in it", r.Evidence, c.reason)
					}
				}
				return all, late && len(all) > 0
			}
			// On a busy machine the server may need more time for what it has to say. To wait longer
			// changes nothing else.
			var different []string
			for timeout, late := cmp.Or(c.timeout, 300*time.Millisecond), true; late && timeout < 5*time.Minute; timeout *= 4 {
				s.written.Store(0)
				different, late = differences(auditWithin(t, s.address, timeout))
			}
			s.stop()
			for _, d := range different {
				t.Error(d)
			}
			// Every connection reads 1 MiB at most; the rest is what the kernel's buffers took.
			if written, most := s.written.Load(), int64(200<<20); written > most {
				t.Errorf("the server could write %d bytes", written)
			}
			if most := s.mostOpen.Load(); most > 8 { // 4 open, and those that the server has not seen closed yet
				t.Errorf("%d connections were open at a time", most)
			}
			waitForGoroutines(t, before)
		})
	}
}

// auditWithin audits a client port of which nothing good is expected, by the clock's
// deadline for a target and a generous margin for a slow machine.
func auditWithin(t *testing.T, address string, timeout time.Duration) audit.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	targets, err := collect.Collect(ctx, []collect.Endpoint{{Address: address, Kind: audit.Client}},
		collect.Config{Timeout: timeout, Now: time.Now, Faulty: newSite(t).faulty(t)})
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("the audit did not end by itself")
	}
	return audit.Run(catalog.All(), audit.Targets(targets))
}

func waitForGoroutines(t *testing.T, most int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; runtime.NumGoroutine() > most; <-tick.C {
		if time.Now().After(deadline) {
			var stacks bytes.Buffer
			buffer := make([]byte, 1<<20)
			stacks.Write(buffer[:runtime.Stack(buffer, true)])
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), most, stacks.String())
		}
	}
}

func TestUnreachable(t *testing.T) {
	closed := address(etcdtest.FreePort(t))
	for name, address := range map[string]string{
		"closed port":  closed,
		"unknown host": "no-such-host.invalid:2379",
	} {
		t.Run(name, func(t *testing.T) {
			report := auditWithin(t, address, 300*time.Millisecond)
			if len(report.Results) == 0 || report.Summary.Unknown != len(report.Results) {
				t.Errorf("got %+v", report.Summary)
			}
			for _, r := range report.Results {
				if !strings.HasPrefix(r.Evidence, "the port was not reached: ") {
					t.Errorf("%s: %q", r.CheckID, r.Evidence)
				}
			}
		})
	}
}

// An interrupt ends the audit at once, whatever the servers do.
func TestInterrupt(t *testing.T) {
	s := startFaulty(t, func(s *faultyServer, c net.Conn) { s.untilGone(c) })
	defer s.stop()
	ctx, cancel := context.WithCancel(t.Context())
	var targets []*audit.Listener
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The third waits for its turn.
		targets, _ = collect.Collect(ctx, []collect.Endpoint{
			{Address: s.address, Kind: audit.Client}, {Address: s.address, Kind: audit.Peer, ClusterName: "c"}, {Address: s.address, Kind: audit.Metrics},
		}, collect.Config{Timeout: time.Hour, Parallel: 2, Now: time.Now})
	}()
	for s.open.Load() == 0 {
		runtime.Gosched()
	}
	cancel()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the audit goes on after it was interrupted")
	}
	report := audit.Run(catalog.All(), append(audit.Targets(targets), audit.Targets(audit.Clusters(targets))...))
	if len(targets) != 3 || len(report.Results) == 0 {
		t.Errorf("%d targets, %+v", len(targets), report.Summary)
	}
	for _, r := range report.Results {
		asked := r.CheckID != "snapshot-age" // it is about a folder, and none was given
		if asked && (r.Verdict != audit.Unknown || r.Evidence != audit.Interrupted) {
			t.Errorf("%s %s of %s: %q", r.Verdict, r.CheckID, r.Target, r.Evidence)
		}
	}
}

// What was observed before the interrupt is kept.
func TestInterruptKeepsWhatWasDone(t *testing.T) {
	silent := startFaulty(t, func(s *faultyServer, c net.Conn) { s.untilGone(c) })
	defer silent.stop()
	closed := address(etcdtest.FreePort(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	targets, err := collect.Collect(ctx, []collect.Endpoint{{Address: closed, Kind: audit.Client}, {Address: silent.address, Kind: audit.Client}}, collect.Config{
		Timeout: time.Hour, Parallel: 1, Now: time.Now,
		Progress: func(done, _ int) {
			if done == 1 {
				cancel()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if targets[0].Interrupted() || !targets[0].NothingListens() || !targets[1].Interrupted() {
		t.Errorf("got %+v and %+v", targets[0].Reach, targets[1].Reach)
	}
}
