package collect_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// withTLSAnswers adds what the TLS checks tell of a server whose handshake can be told.
func withTLSAnswers(answers map[string]audit.Verdict) map[string]audit.Verdict {
	// A server that can be told of is Go's, with an ECDSA key and its own choice of suites.
	added := map[string]audit.Verdict{
		"tls-weak-cipher": audit.Fail, "tls-key-exchange": audit.Pass, "tls-post-quantum": audit.Pass,
		"tls-auto-cert": audit.Pass, "tls-renegotiation": audit.Pass, "tls-compression": audit.Pass,
	}
	expiry, told := answers["cert-expiry"]
	if !told {
		return answers
	}
	if expiry == audit.Skip {
		for check := range added {
			added[check] = audit.Skip
		}
	}
	maps.Copy(added, answers)
	return added
}

// replayed is a connection of which the beginning was read before.
type replayed struct {
	net.Conn
	first io.Reader
}

func (r *replayed) Read(b []byte) (int, error) { return r.first.Read(b) }

// firstRecord reads the ClientHello.
func firstRecord(c net.Conn) []byte {
	header := make([]byte, 5)
	if _, err := io.ReadFull(c, header); err != nil || header[0] != 0x16 {
		return nil
	}
	record := make([]byte, 5+int(header[3])<<8+int(header[4]))
	copy(record, header)
	if _, err := io.ReadFull(c, record[5:]); err != nil {
		return nil
	}
	return record
}

// answerOf answers a ClientHello that was read.
type answerOf func(s *faultyServer, c net.Conn, hello []byte)

// answering answers as whole does to who offers ALPN, as a whole client does, and as odd does to the
// other ClientHellos.
func answering(whole, odd answerOf) func(*faultyServer, net.Conn) {
	return func(s *faultyServer, c net.Conn) {
		switch hello := firstRecord(c); {
		case hello == nil: // plaintext
		case bytes.Contains(hello, []byte("http/1.1")):
			whole(s, c, hello)
		default:
			odd(s, c, hello)
		}
	}
}

// inOrder is Go's own server, which ends the connection after the handshake.
func inOrder(config *tls.Config) answerOf {
	return func(_ *faultyServer, c net.Conn, hello []byte) {
		_ = tls.Server(&replayed{c, io.MultiReader(bytes.NewReader(hello), c)}, config).Handshake()
	}
}

// saying sends the same to everybody.
func saying(answer string) answerOf {
	return func(s *faultyServer, c net.Conn, _ []byte) {
		_, _ = io.WriteString(c, answer)
		s.untilGone(c)
	}
}

// serverHello is a ServerHello of TLS 1.2 without extensions.
func serverHello(suite, compression string) string {
	body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + suite + compression
	return "\x16\x03\x03\x00" + string(rune(len(body)+4)) + "\x02\x00\x00" + string(rune(len(body))) + body
}

// silence is the reason that the audit gives when an answer stays away or ends too early.
const silence = "no answer within"

// A server that is faulty to the ClientHellos tells nothing by that.
func TestFaultyAnswersToHellos(t *testing.T) {
	leaf := newLeaf(t, newCA(t, "faulty", time.Now()), throwaway.Leaf{EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	for _, c := range []struct {
		name   string
		odd    answerOf
		reason string
	}{
		{"silent", func(s *faultyServer, c net.Conn, _ []byte) { s.untilGone(c) }, silence},
		{"closed", func(*faultyServer, net.Conn, []byte) {}, "connection was closed"},
		{"reset", func(_ *faultyServer, c net.Conn, _ []byte) { reset(c) }, "connection was reset"},
		{"garbage", saying("\x00\x01garbage\xff\n and more of it"), "not TLS"},
		{"echo", func(s *faultyServer, c net.Conn, hello []byte) {
			_, _ = c.Write(hello)
			s.untilGone(c)
		}, "does not begin with a ServerHello"},
		{"internal error", saying("\x15\x03\x03\x00\x02\x02\x50"), "internal error"},
		{"warning, then nothing", saying("\x15\x03\x03\x00\x02\x01\x70"), silence},
		{"refusal as a warning", saying("\x15\x03\x03\x00\x02\x01\x28"), silence},
		{"every offer refused", saying("\x15\x03\x03\x00\x02\x02\x28"), "handshake failure"},
		{"long alert", saying("\x15\x03\x03\x00\x03\x02\x28\x00"), "not a TLS alert"},
		{"endless warnings", func(s *faultyServer, c net.Conn, _ []byte) {
			s.pour(c, "", strings.Repeat("\x15\x03\x03\x00\x02\x01\x70", 600))
		}, "has only TLS warnings"},
		{"endless message", func(s *faultyServer, c net.Conn, _ []byte) {
			s.pour(c, "\x16\x03\x03\x00\x04\x02\xff\xff\xff", "\x16\x03\x03\x40\x00"+strings.Repeat("x", 1<<14))
		}, "does not end"},
		{"dripping", func(s *faultyServer, c net.Conn, _ []byte) {
			s.drip(c, "\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"+strings.Repeat("x", 16000))
		}, silence},
		{"a suite that nobody offered", saying(serverHello("\x13\x37", "\x00")), "not offered"},
		{"a compression that nobody offered", saying(serverHello("\xc0\x2b", "\x40")), "not offered"},
		{"cut ServerHello", saying(serverHello("\xc0\x2b", "\x00")[:30]), silence},
		{"ServerHello without a key exchange", saying(serverHello("\xc0\x2b", "\x00")), silence},
		{"an empty record", saying("\x16\x03\x03\x00\x00"), "not TLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startFaulty(t, answering(inOrder(&tls.Config{Certificates: []tls.Certificate{leaf}}), c.odd))
			defer s.stop()
			// Only who says nothing is to be waited for.
			timeout := time.Minute
			if c.reason == silence {
				timeout = time.Second
			}
			report := auditPort(t, s.address, timeout)
			// What it says in order has to come in time, also on a busy machine.
			late := func(r audit.Result) bool {
				return r.CheckID == "tls-auto-cert" && r.Verdict == audit.Unknown && strings.Contains(r.Evidence, silence)
			}
			for timeout < time.Minute && slices.ContainsFunc(report.Results, late) {
				s.written.Store(0)
				timeout *= 4
				report = auditPort(t, s.address, timeout)
			}
			for _, r := range report.Results {
				switch r.CheckID {
				case "tls-weak-cipher", "tls-key-exchange", "tls-post-quantum", "tls-renegotiation", "tls-compression":
					if r.Verdict != audit.Unknown || (r.CheckID == "tls-weak-cipher" && !strings.Contains(r.Evidence, c.reason)) {
						t.Errorf("%s: %s %s, want %q", r.CheckID, r.Verdict, r.Evidence, c.reason)
					}
				case "tls-auto-cert":
					if r.Verdict != audit.Pass {
						t.Errorf("%s: %s %s", r.CheckID, r.Verdict, r.Evidence)
					}
				}
			}
			if written, most := s.written.Load(), int64(200<<20); written > most {
				t.Errorf("the server could write %d bytes", written)
			}
			if most := s.mostOpen.Load(); most > 8 {
				t.Errorf("%d connections were open at a time", most)
			}
		})
	}
}

// auditPort audits a peer port.
func auditPort(t *testing.T, address string, timeout time.Duration) audit.Report {
	t.Helper()
	targets, err := collect.Collect(t.Context(), []collect.Endpoint{{Address: address, Kind: audit.Peer}}, collect.Config{Timeout: timeout, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return audit.Run(catalog.All(), audit.Targets(targets))
}

// What neither etcd nor OpenSSL can be made to answer: no renegotiation_info, compression, and TLS 1.2
// to who offers only TLS 1.3.
func TestOldServer(t *testing.T) {
	const keyExchange = "\x16\x03\x03\x00\x0a\x0c\x00\x00\x06\x03\x00\x15\x02kk" // secp224r1
	s := startFaulty(t, answering(saying("\x15\x03\x03\x00\x02\x02\x50"), saying(serverHello("\xc0\x2b", "\x01")+keyExchange)))
	defer s.stop()
	compareTLS(t, auditPort(t, s.address, time.Minute), map[string]string{
		"tls-renegotiation": "fail not-bound", "tls-compression": "fail compressed", "tls-key-exchange": "fail secp224r1",
		"tls-post-quantum": "fail no-tls1.3", "tls-auto-cert": "unknown no certificate",
		// It chooses a strong suite of an offer that has none.
		"tls-weak-cipher": "unknown not offered",
	})
}
