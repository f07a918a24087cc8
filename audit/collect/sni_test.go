package collect_test

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
)

// A server that wants a name it knows refuses every handshake by address; each answer still says what was seen.
func TestStrictSNI(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	certificate, err := tls.LoadX509KeyPair(s.path("server.crt"), s.path("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != "etcd.example" {
			return nil, errors.New("no such name")
		}
		return &certificate, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func(conn net.Conn) {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				_ = conn.(*tls.Conn).Handshake()
			}(conn)
		}
	}()
	for _, kind := range audit.Listeners() {
		for _, credentials := range []collect.Credentials{s.credentials(), {}} {
			report := runAudit(t, []collect.Endpoint{{Address: listener.Addr().String(), Kind: kind}}, credentials)
			for _, r := range report.Results {
				if r.Evidence == "" || strings.HasSuffix(strings.TrimSpace(r.Evidence), ":") {
					t.Errorf("%s port: %s is %s, and says %q", kind, r.CheckID, r.Verdict, r.Evidence)
				}
			}
			if len(report.Results) == 0 || report.Summary.Pass+report.Summary.Fail > report.Summary.Unknown {
				t.Errorf("%s port: %+v", kind, report.Summary)
			}
		}
	}
}
