package collect_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/report"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// fleetDir in the environment makes the test binary a server of many listeners, a process of
// its own: its memory is not the audit's.
const fleetDir = "ETCDSEC_TEST_FLEET"

const fleetSize = 1000

// TestFleetServers is that process, and nothing otherwise. It serves net/http over crypto/tls
// with the files of the site until its standard input ends, and first prints its addresses.
func TestFleetServers(t *testing.T) {
	dir := os.Getenv(fleetDir)
	if dir == "" {
		t.Skip("only in a process that BenchmarkFleet starts")
	}
	leaf, err := tls.LoadX509KeyPair(dir+"/server.crt", dir+"/server.key")
	if err != nil {
		t.Fatal(err)
	}
	caPEM, err := os.ReadFile(dir + "/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(caPEM)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/version" {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, `{"etcdserver":"3.6.16","etcdcluster":"3.6.0"}`)
		}),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{leaf}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	var accepted atomic.Int64
	for range fleetSize {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("listening", listener.Addr())
		go func() { _ = server.ServeTLS(&countingListener{listener, &accepted}, "", "") }()
	}
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		fmt.Println("accepted", accepted.Load())
	}
	_ = server.Close()
}

type countingListener struct {
	net.Listener
	accepted *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

// fleet is that process.
type fleet struct {
	addresses []string
	in        io.WriteCloser
	lines     *bufio.Scanner
}

func startFleet(tb testing.TB, dir string) *fleet {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^TestFleetServers$", "-test.v")
	cmd.Env = append(os.Environ(), fleetDir+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	f := &fleet{in: in, lines: bufio.NewScanner(out)}
	for f.lines.Scan() {
		if address, found := strings.CutPrefix(f.lines.Text(), "listening "); found {
			f.addresses = append(f.addresses, address)
		}
		if f.lines.Text() == "ready" {
			return f
		}
	}
	tb.Fatal("the servers did not start")
	return nil
}

// accepted is how many connections the fleet has accepted so far.
func (f *fleet) accepted(tb testing.TB) int {
	tb.Helper()
	if _, err := io.WriteString(f.in, "\n"); err != nil {
		tb.Fatal(err)
	}
	for f.lines.Scan() {
		var n int
		if _, err := fmt.Sscanf(f.lines.Text(), "accepted %d", &n); err == nil {
			return n
		}
	}
	tb.Fatal("the fleet does not answer")
	return 0
}

// BenchmarkFleet audits a thousand endpoints: three real members, and servers that do no more
// than TLS. Beside it, crypto/tls alone makes the same connections to the same servers.
func BenchmarkFleet(b *testing.B) {
	s := newSite(b)
	endpoints := startThree(b, s)
	servers := startFleet(b, s.dir)
	addresses := servers.addresses[:fleetSize-len(endpoints)]
	for _, address := range addresses {
		endpoints = append(endpoints, collect.Endpoint{Address: address, Kind: audit.Client})
	}
	foreign := newLeaf(b, newCA(b, "foreign", s.now), throwaway.Leaf{CommonName: "foreign", EKUs: bothEKUs})

	var observed, audited, bare time.Duration // audited: observed, judged and written as JSON
	var handshakes, peak, before int
	b.ResetTimer()
	for b.Loop() {
		debug.FreeOSMemory()
		resetPeak(b)
		start := time.Now()
		targets, err := collect.Collect(b.Context(), endpoints, collect.Config{Timeout: time.Minute, Credentials: s.credentials(), Now: time.Now})
		if err != nil {
			b.Fatal(err)
		}
		observed += time.Since(start)
		r := audit.Run(catalog.All(), audit.Targets(targets))
		if err := (report.JSON{}).Render(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		audited += time.Since(start)
		peak = max(peak, peakMemory(b))
		atFleet := targets[len(targets)-len(addresses):]
		for _, target := range atFleet {
			if target.Handshake(audit.GivenCertificate).State != audit.Answered {
				b.Fatalf("%s: %+v", target.Address, target.Handshake(audit.GivenCertificate))
			}
		}
		between := servers.accepted(b)
		start = time.Now()
		handshakes += bareLoop(b, s, atFleet, foreign)
		bare += time.Since(start)
		after := servers.accepted(b)
		if between-before != after-between {
			b.Fatalf("crypto/tls alone made %d connections, the audit %d", after-between, between-before)
		}
		before = after
	}
	// The handshakes with the real members are in the time and not in the count.
	b.ReportMetric(float64(len(endpoints)*b.N)/audited.Seconds(), "endpoints/s")
	b.ReportMetric(float64(handshakes)/observed.Seconds(), "audit-handshakes/s")
	b.ReportMetric(float64(handshakes)/bare.Seconds(), "bare-handshakes/s")
	b.ReportMetric(100*bare.Seconds()/observed.Seconds(), "%-of-bare")
	b.ReportMetric(float64(peak)/1024, "MiB-peak")
	b.ReportMetric(audited.Seconds()/float64(b.N), "s/audit")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}

// BenchmarkFleetOneHandshake audits the same fleet by the checks for which one handshake is
// enough. Beside it, crypto/tls makes that handshake alone.
func BenchmarkFleetOneHandshake(b *testing.B) {
	s := newSite(b)
	servers := startFleet(b, s.dir)
	checks := slices.DeleteFunc(catalog.All(), func(c audit.Check) bool { return !c.OneHandshake })
	endpoints := make([]collect.Endpoint, len(servers.addresses))
	for i, address := range servers.addresses {
		endpoints[i] = collect.Endpoint{Address: address, Kind: audit.Client}
	}
	var audited, bare time.Duration
	before := 0
	for b.Loop() {
		start := time.Now()
		targets, err := collect.Collect(b.Context(), endpoints, collect.Config{Timeout: time.Minute, Credentials: s.credentials(), Now: time.Now, OneHandshake: true})
		if err != nil {
			b.Fatal(err)
		}
		if r := audit.Run(checks, audit.Targets(targets)); r.Summary.Unknown > 0 {
			b.Fatalf("%+v", r.Summary)
		}
		audited += time.Since(start)
		between := servers.accepted(b)
		start = time.Now()
		bareLoop(b, s, targets, tls.Certificate{})
		bare += time.Since(start)
		after := servers.accepted(b)
		if between-before != len(endpoints) || after-between != len(endpoints) {
			b.Fatalf("the audit made %d connections to %d endpoints, crypto/tls alone %d", between-before, len(endpoints), after-between)
		}
		before = after
	}
	all := float64(len(endpoints) * b.N)
	b.ReportMetric(float64(len(checks)), "checks")
	b.ReportMetric(all/audited.Seconds(), "endpoints/s")
	b.ReportMetric(all/bare.Seconds(), "bare-handshakes/s")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}

// connection is one as the audit made it: with TLS and a configuration, or with a ClientHello
// that no handshake follows, or with neither.
type connection struct {
	config *tls.Config
	hello  []byte
}

// connectionsOf are those that the audit of a hardened client port made.
func connectionsOf(t *audit.Listener, given tls.Certificate, foreign tls.Certificate, hellos map[uint16][]byte) []connection {
	var made []connection
	if len(t.Handshakes) > 1 {
		made = append(made, connection{}, connection{}) // HTTP/1.1 and HTTP/2 in plaintext
	}
	with := func(protocols []string, certificate ...tls.Certificate) *tls.Config {
		return &tls.Config{
			InsecureSkipVerify: true, NextProtos: protocols,
			// As Certificates, but whatever the server says it accepts.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &append(certificate, tls.Certificate{})[0], nil
			},
		}
	}
	h2, either := []string{"h2"}, []string{"h2", "http/1.1"}
	for _, h := range t.Handshakes {
		presented := []tls.Certificate{foreign}
		if h.Presented == audit.NoCertificate {
			presented = nil
		}
		if h.Presented == audit.GivenCertificate {
			presented = []tls.Certificate{given}
		}
		config := with(either, presented...)
		config.MinVersion, config.MaxVersion = h.MinVersion, h.MaxVersion
		made = append(made, connection{config: config})
	}
	if len(t.Pages) > 0 {
		made = append(made, connection{config: with([]string{"http/1.1"}, given)}) // for all of them
	}
	for _, r := range t.RPCs {
		if r.Access != audit.InPlaintext {
			made = append(made, connection{config: with(h2, given)})
		}
	}
	for _, h := range t.Hellos {
		asked := len(h.Chosen)
		if h.State == audit.Refused {
			asked++
		}
		for range asked {
			made = append(made, connection{hello: hellos[h.Version]})
		}
	}
	return made
}

// helloOf is the ClientHello that crypto/tls sends.
func helloOf(tb testing.TB, version uint16) []byte {
	tb.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		_ = tls.Client(client, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}).HandshakeContext(tb.Context())
	}()
	hello := make([]byte, 4096)
	n, err := server.Read(hello)
	if err != nil {
		tb.Fatal(err)
	}
	_ = server.Close()
	return hello[:n]
}

// bareLoop makes the connections of the audit with crypto/tls alone: each is opened, asked
// one thing, read once and closed. It returns the number of those with TLS.
func bareLoop(tb testing.TB, s *site, targets []*audit.Listener, foreign tls.Certificate) int {
	tb.Helper()
	hellos := map[uint16][]byte{tls.VersionTLS12: helloOf(tb, tls.VersionTLS12), tls.VersionTLS13: helloOf(tb, tls.VersionTLS13)}
	var made, next atomic.Int64
	var wg sync.WaitGroup
	for range collect.DefaultParallel {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(targets)); i = next.Add(1) - 1 {
				for _, c := range connectionsOf(targets[i], s.given, foreign, hellos) {
					if c.config != nil || c.hello != nil {
						made.Add(1)
					}
					ask(tb.Context(), targets[i].Address, c)
				}
			}
		})
	}
	wg.Wait()
	return int(made.Load())
}

func ask(ctx context.Context, address string, made connection) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(time.Minute))
	var c io.ReadWriter = raw
	request := "GET /version HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\r\n"
	switch {
	case made.hello != nil:
		request = string(made.hello)
	case made.config != nil:
		secured := tls.Client(raw, made.config)
		if secured.HandshakeContext(ctx) != nil {
			return
		}
		if secured.ConnectionState().NegotiatedProtocol == "h2" {
			request = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settingsFrame
		}
		c = secured
	}
	_, _ = io.WriteString(c, request)
	_, _ = c.Read(make([]byte, 4096))
}

// resetPeak makes the kernel forget the most memory that this process has had (proc(5)).
func resetPeak(tb testing.TB) {
	tb.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200); err != nil {
		tb.Skip(err)
	}
}

// peakMemory is the most resident memory since then, in KiB.
func peakMemory(tb testing.TB) int {
	tb.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(after, &kib); err != nil {
		tb.Fatal(err)
	}
	return kib
}
