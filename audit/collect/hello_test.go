package collect

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// questions are all that are asked.
func questions() []audit.Hello {
	return []audit.Hello{
		{Version: tls.VersionTLS12, Offer: audit.StrongSuites},
		{Version: tls.VersionTLS12, Offer: audit.WeakSuites},
		{Version: tls.VersionTLS12, Offer: audit.WeakGroups},
		{Version: tls.VersionTLS13, Offer: audit.StrongSuites},
		{Version: tls.VersionTLS13, Offer: audit.WeakSuites},
		{Version: tls.VersionTLS13, Offer: audit.WeakGroups},
		{Version: tls.VersionTLS13, Offer: audit.PostQuantumGroups},
	}
}

// goServer answers ClientHellos as Go's own server does, and keeps what it was offered.
type goServer struct {
	address string

	mu     sync.Mutex
	hellos []*tls.ClientHelloInfo
}

func startGoServer(t *testing.T, config *tls.Config) *goServer {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: "hello", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(throwaway.Leaf{CommonName: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &goServer{address: listener.Addr().String()}
	config.Certificates = []tls.Certificate{leaf}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hellos = append(s.hellos, hello)
		return nil, nil
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = c.Close() }()
				_ = tls.Server(c, config).Handshake()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return s
}

func newProber(address string) *prober {
	return &prober{
		endpoint: Endpoint{Address: address, Kind: audit.Peer}, config: Config{Timeout: time.Minute},
		now: time.Now(), slots: make(chan struct{}, maxConnections),
	}
}

// Another implementation reads in the ClientHello what was put in.
func TestClientHelloAsGoReadsIt(t *testing.T) {
	for _, q := range questions() {
		t.Run(tls.VersionName(q.Version)+"/"+string(q.Offer), func(t *testing.T) {
			s := startGoServer(t, &tls.Config{})
			offered := offerOf(q.Version, q.Offer)
			offered.serverName = "etcd-0.example.internal"
			_, _ = newProber(s.address).sendHello(t.Context(), offered)
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.hellos) != 1 {
				t.Fatalf("%d ClientHellos were read", len(s.hellos))
			}
			hello := s.hellos[0]
			var groups []uint16
			for _, g := range hello.SupportedCurves {
				groups = append(groups, uint16(g))
			}
			if !slices.Equal(hello.CipherSuites, offered.suites) || !slices.Equal(groups, offered.groups) ||
				!slices.Contains(hello.SupportedVersions, q.Version) || slices.Max(hello.SupportedVersions) != q.Version ||
				hello.ServerName != offered.serverName {
				t.Errorf("%x is read as %+v", offered, hello)
			}
			if len(hello.CipherSuites) == 0 || len(groups) == 0 {
				t.Error("nothing is offered")
			}
		})
	}
}

// The offers are of the sort that their name says.
func TestOffers(t *testing.T) {
	for _, q := range questions() {
		h := offerOf(q.Version, q.Offer)
		for _, id := range h.suites {
			weak := audit.SuiteOf(id).Weakness() != ""
			if (q.Offer == audit.WeakSuites && !weak) || (q.Offer == audit.StrongSuites && weak) || audit.SuiteOf(id).TLS13() != (q.Version == tls.VersionTLS13) {
				t.Errorf("%x %s offers %s", q.Version, q.Offer, audit.SuiteOf(id).Name)
			}
		}
		for _, id := range h.groups {
			g := audit.GroupOf(id)
			if (q.Offer == audit.WeakGroups && g.Weakness == "") || (q.Offer == audit.PostQuantumGroups && !g.PostQuantum) ||
				(q.Version == tls.VersionTLS12 && g.PostQuantum) {
				t.Errorf("%x %s offers %s", q.Version, q.Offer, g.Name)
			}
		}
	}
	// Every suite of Go has the name that etcd's --cipher-suites knows.
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if got := audit.SuiteOf(s.ID).Name; got != s.Name {
			t.Errorf("%x is %s, and Go calls it %s", s.ID, got, s.Name)
		}
	}
}

// A server in order sees as few ClientHellos as the questions need.
func TestFewHellos(t *testing.T) {
	strong := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	for _, c := range []struct {
		name   string
		config *tls.Config
		known  audit.Handshake
		want   int
	}{
		{"TLS 1.3 only", &tls.Config{MinVersion: tls.VersionTLS13}, audit.Handshake{MaxVersion: tls.VersionTLS12, Attempt: audit.Attempt{State: audit.Refused, Alert: audit.ProtocolVersion, Reason: alertText(alertProtocolVersion)}}, 3},
		{"TLS 1.2 and 1.3", &tls.Config{CipherSuites: strong}, audit.Handshake{}, 6},
		{"TLS 1.2 only", &tls.Config{CipherSuites: strong, MaxVersion: tls.VersionTLS12}, audit.Handshake{}, 4},
		{"without hybrid groups", &tls.Config{CipherSuites: strong, CurvePreferences: []tls.CurveID{tls.X25519}}, audit.Handshake{}, 7},
		{"Go's choice", &tls.Config{}, audit.Handshake{}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startGoServer(t, c.config)
			target := &audit.Listener{Handshakes: []audit.Handshake{{Presented: audit.NoCertificate, SpokeTLS: true}, c.known}}
			hellos := newProber(s.address).askHellos(t.Context(), target)
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.hellos) != c.want {
				t.Errorf("%d ClientHellos, want %d: %+v", len(s.hellos), c.want, hellos)
			}
			for _, h := range hellos {
				if h.State != audit.Answered && h.State != audit.Refused {
					t.Errorf("%+v", h)
				}
			}
		})
	}
}

// recorded are the answers of Go's server to every question, as they went over the wire.
func recorded(t testing.TB) [][]byte {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: "hello", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(throwaway.Leaf{CommonName: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	var answers [][]byte
	for _, q := range questions() {
		client, server := net.Pipe()
		go func() {
			_ = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{leaf}}).Handshake()
			_ = server.Close()
		}()
		record, err := offerOf(q.Version, q.Offer).record()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write(record); err != nil {
			t.Fatal(err)
		}
		var answer bytes.Buffer
		_, _ = readChoice(io.TeeReader(client, &answer), offerOf(q.Version, q.Offer), func([]*x509.Certificate) {})
		_ = client.Close()
		answers = append(answers, answer.Bytes())
	}
	return answers
}

// Whatever a server sends, what is taken from it was offered and is bounded.
func FuzzReadChoice(f *testing.F) {
	chosen := 0
	answers := recorded(f)
	for i, q := range questions() {
		answer := answers[i]
		if len(answer) == 0 {
			f.Fatalf("%x %s: no answer", q.Version, q.Offer)
		}
		if _, err := readChoice(bytes.NewReader(answer), offerOf(q.Version, q.Offer), func([]*x509.Certificate) {}); err == nil {
			chosen++
		}
		f.Add(uint8(i), answer)
	}
	if want := 4; chosen != want { // strong suites twice, weak suites of TLS 1.2, post-quantum groups
		f.Fatalf("%d of the recorded answers choose something, want %d", chosen, want)
	}
	f.Add(uint8(2), []byte("\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03"+strings.Repeat("r", 32)+"\x00\x00\x9e\x00"+
		"\x16\x03\x03\x00\x0d\x0c\x00\x00\x09\x00\x01\x7f\x00\x01\x02\x00\x01\x03"))
	f.Fuzz(func(t *testing.T, question uint8, answer []byte) {
		q := questions()[int(question)%len(questions())]
		offered := offerOf(q.Version, q.Offer)
		choice, err := readChoice(bytes.NewReader(answer), offered, func([]*x509.Certificate) {})
		p := newProber("127.0.0.1:2379")
		if err != nil {
			if attempt, _ := p.failedHello(err); attempt.State == audit.Answered || attempt.State == audit.Untried || attempt.Reason == "" || len(attempt.Reason) > maxText {
				t.Errorf("%v makes %+v", err, attempt)
			}
			return
		}
		suite := audit.SuiteOf(choice.Suite)
		ephemeral := q.Version == tls.VersionTLS13 || suite.EphemeralECDH()
		if !slices.Contains(offered.suites, choice.Suite) || ephemeral != slices.Contains(offered.groups, choice.Group) ||
			choice.PrimeBits < 0 || choice.PrimeBits > maxPrimeBits || (choice.PrimeBits > 0) != suite.EphemeralDH() ||
			(q.Version == tls.VersionTLS13 && (choice.SecureRenegotiation || choice.Compression != 0)) {
			t.Errorf("%x is read as %+v", answer, choice)
		}
		// The questions end: what was chosen is not offered again.
		if left := offered.remaining(choice, q.Offer); len(left.suites)+len(left.groups) >= len(offered.suites)+len(offered.groups) {
			t.Errorf("%+v leaves %+v", choice, left)
		}
	})
}

// Errors of the answer are told apart from those of the network.
func TestFailedHello(t *testing.T) {
	p := newProber("127.0.0.1:2379")
	for _, c := range []struct {
		err     error
		state   audit.State
		refused bool
	}{
		{tls.AlertError(alertHandshakeFailure), audit.Refused, false},
		{tls.AlertError(alertInsufficientSecurity), audit.Refused, false},
		{tls.AlertError(alertIllegalParameter), audit.Refused, false},
		{tls.AlertError(alertProtocolVersion), audit.Refused, true},
		{tls.AlertError(alertCloseNotify), audit.Unclear, false},
		{tls.AlertError(80), audit.Unclear, false},
		{tls.AlertError(255), audit.Unclear, false},
		{versionError{tls.VersionTLS11}, audit.Refused, true},
		{answerError{"odd"}, audit.Unclear, false},
		{context.DeadlineExceeded, audit.Unclear, false},
		{net.ErrClosed, audit.Unclear, false},
		{errTooLong, audit.Unclear, false},
		{errors.New("some other"), audit.Unclear, false},
	} {
		if attempt, refused := p.failedHello(c.err); attempt.State != c.state || refused != c.refused || attempt.Reason == "" {
			t.Errorf("%v: got %+v, %v", c.err, attempt, refused)
		}
	}
}
