package guard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/netns"
	"github.com/etcdsec/etcdsec/policies/nft"
)

const ours = "table inet etcdsec {\n\tchain x {\n\t}\n}\n"

// inside says whether the test is in a namespace of its own, with nft.
func inside(t *testing.T, addresses ...string) (Nft, bool) {
	t.Helper()
	n, err := FindNft()
	if err != nil {
		t.Skip(err)
	}
	if !netns.Inside(t, addresses...) {
		return n, false
	}
	netns.NeedNft(t)
	return n, true
}

func stateDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "state")
}

func tables(t *testing.T, n Nft) string {
	t.Helper()
	out, err := n.run(t.Context(), nil, "list", "ruleset")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A text of Restore brings a table back with all that is in it, or takes it away.
func TestRestore(t *testing.T) {
	n, in := inside(t)
	if !in {
		return
	}
	restore := func() []byte {
		live, err := n.Tables(t.Context(), &nft.Ruleset{Tables: []nft.Table{{Family: "inet", Name: "etcdsec"}}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := n.Restore(t.Context(), live, "inet", "etcdsec")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	load := func(text string) {
		if err := n.Load(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	load("table ip other {\n}\n")
	none := restore()
	load(ours)
	// More than we would write ourselves, and what it counted.
	load("add rule inet etcdsec x tcp dport 22 ct state new limit rate 3/minute counter packets 7 bytes 400 accept comment \"a b\"\nadd set inet etcdsec s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }\n")
	before := tables(t, n)
	some := restore()
	if err := n.Check(t.Context(), none); err != nil || tables(t, n) != before {
		t.Errorf("a check changed something: %v", err)
	}
	load(string(none))
	if got := tables(t, n); got != "table ip other {\n}\n" {
		t.Errorf("got %s", got)
	}
	load(string(some))
	if got := tables(t, n); !strings.Contains(got, "counter packets 7 bytes 400") || got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	if err := n.Load(t.Context(), []byte("table inet etcdsec {\n}\nno such words\n")); err == nil || !strings.Contains(err.Error(), "syntax error") || tables(t, n) != before {
		t.Errorf("half of a transaction was loaded: %v", err)
	}
}

func TestNotPermitted(t *testing.T) {
	t.Parallel()
	n, err := FindNft()
	if err != nil {
		t.Skip(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root is permitted; the command's tests ask as another user")
	}
	if _, err := n.Tables(t.Context(), &nft.Ruleset{}); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("got %v", err)
	}
}

// watched is a change that a watchdog of this process guards.
func watched(ctx context.Context, t *testing.T, n Nft, dir string, within time.Duration) <-chan Word {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Prepare([]byte("table inet etcdsec\ndelete table inet etcdsec\n"), Saving{}); err != nil {
		t.Fatal(err)
	}
	up, ended := make(chan struct{}), make(chan Word, 1)
	go func() {
		outcome, err := Watch(ctx, dir, n, within, func() error {
			defer close(up)
			return n.Load(ctx, []byte(ours))
		})
		if err != nil {
			t.Error(err)
		}
		ended <- outcome
	}()
	<-up
	return ended
}

func TestWatch(t *testing.T) {
	n, in := inside(t)
	if !in {
		return
	}
	there := func() bool { return strings.Contains(tables(t, n), "etcdsec") }

	dir := stateDir(t)
	ended := watched(t.Context(), t, n, dir, time.Hour)
	if _, err := Open(dir); !errors.Is(err, ErrOpen) {
		t.Errorf("a second change under guard: %v", err)
	}
	if w, err := Decide(dir, Keep); w != Keep || err != nil {
		t.Fatal(w, err)
	}
	// What was said first holds.
	if w, err := Decide(dir, Undo); w != Keep && !errors.Is(err, ErrNone) { // none once it has ended
		t.Fatal(w, err)
	}
	if w := <-ended; w != Kept || !there() {
		t.Errorf("kept: %s", w)
	}
	if w, err := Await(t.Context(), dir, n); w != Kept || err != nil {
		t.Error(w, err)
	}
	if _, err := Decide(dir, Undo); !errors.Is(err, ErrNone) {
		t.Errorf("nothing waits: %v", err)
	}

	if w := <-watched(t.Context(), t, n, dir, time.Millisecond); w != Undone || there() {
		t.Errorf("the time is over: %s", w)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended = watched(ctx, t, n, dir, time.Hour)
	cancel()
	if w := <-ended; w != Undone || there() {
		t.Errorf("it was told to end: %s", w)
	}
}

// A watchdog that was killed leaves a change that is open, until somebody says the word.
func TestOrphan(t *testing.T) {
	n, in := inside(t)
	if !in {
		return
	}
	dir := stateDir(t)
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare([]byte("table inet etcdsec\ndelete table inet etcdsec\n"), Saving{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("two at one folder: %v", err)
	}
	s.Close()
	if _, err := Open(dir); !errors.Is(err, ErrOpen) {
		t.Errorf("got %v", err)
	}
	if _, err := Await(t.Context(), dir, n); !errors.Is(err, ErrOpen) {
		t.Errorf("nobody has decided: %v", err)
	}
	if err := n.Load(t.Context(), []byte(ours)); err != nil {
		t.Fatal(err)
	}
	if _, err := Decide(dir, Undo); err != nil {
		t.Fatal(err)
	}
	if w, err := Await(t.Context(), dir, n); w != Undone || err != nil || tables(t, n) != "" {
		t.Error(w, err, tables(t, n))
	}
	s, err = Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(nil, Saving{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Abandon(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err = Open(dir); err != nil {
		t.Fatalf("a change that was not made: %v", err)
	}
	s.Close()
}

// Root loads what is in the folder, so it must be nobody else's.
func TestPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{open, link} {
		if _, err := Open(d); err == nil || !strings.Contains(err.Error(), "with mode 0700, not a symlink") {
			t.Errorf("%s: %v", d, err)
		}
		if _, err := Decide(d, Keep); err == nil || !strings.Contains(err.Error(), "mode 0700") {
			t.Errorf("%s: %v", d, err)
		}
	}
	if _, err := Decide(filepath.Join(dir, "none"), Keep); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
}

func TestProbes(t *testing.T) {
	_, in := inside(t, "10.99.0.1/32")
	if !in {
		return
	}
	listen := func(address string, answer string) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				var b [1]byte
				_, _ = c.Read(b[:])
				_, _ = c.Write([]byte(answer))
				_ = c.Close()
			}
		}()
	}
	listen("10.99.0.1:1", "\x15\x03\x03\x00\x02\x02\x28") // an alert is an answer
	listen("10.99.0.1:2", "")
	listen("10.99.0.1:3", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	listen("10.99.0.1:4", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	probes := []Probe{
		{"alert", "10.99.0.1:1", AnswersTLS}, {"silent", "10.99.0.1:2", AnswersTLS}, {"closed", "10.99.0.1:9", AnswersTLS},
		{"healthy", "10.99.0.1:3", Healthy}, {"ill", "10.99.0.1:4", Healthy},
	}
	// Each of them answers or ends the connection; none is late but on a busy machine.
	faults := Ask(t.Context(), probes)
	for end := time.Now().Add(time.Minute); errors.Is(errors.Join(faults...), context.DeadlineExceeded) && time.Now().Before(end); {
		faults = Ask(t.Context(), probes)
	}
	var wrong []string
	for i, err := range faults {
		if err != nil {
			wrong = append(wrong, probes[i].Name+": "+err.Error())
		}
	}
	got := strings.Join(wrong, "\n")
	for _, want := range []string{"silent: connected, but got no answer", "closed: dial tcp", "ill: status 503"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	if len(wrong) != 3 {
		t.Errorf("got %s", got)
	}
	if err := Hold(t.Context(), []Probe{probes[0], probes[3]}); err != nil {
		t.Error(err)
	}
	for _, f := range []func(context.Context, []Probe) error{Hold, Stay} {
		if err := f(t.Context(), probes); err == nil || !strings.Contains(err.Error(), "ill at 10.99.0.1:4 answered before, but no longer does") || strings.Contains(err.Error(), "healthy") {
			t.Errorf("got %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Stay(ctx, probes[:1]); err != nil {
		t.Error(err)
	}
}

func TestConnected(t *testing.T) {
	_, in := inside(t, "10.99.0.1/32", "10.99.0.2/32", "fd99::1/128", "fd99::2/128")
	if !in {
		return
	}
	l, err := net.Listen("tcp", "[::]:2379")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var want []string
	for _, pair := range [][2]string{{"10.99.0.2", "10.99.0.1"}, {"fd99::2", "fd99::1"}, {"10.99.0.1", "10.99.0.1"}, {"127.0.0.1", "127.0.0.1"}} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(pair[0])}}
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(pair[1], "2379"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		if pair[0] != pair[1] {
			want = append(want, c.LocalAddr().String()+" "+pair[1])
		}
	}
	found, err := Connected([]uint16{2379, 2380})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range found {
		got = append(got, c.From.String()+" "+c.To.Addr().String())
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("got %q, want %q", got, want)
	}
	if found, err := Connected([]uint16{2380}); err != nil || len(found) > 0 {
		t.Errorf("of another port: %v %v", found, err)
	}
}

func FuzzConnections(f *testing.F) {
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			f.Fatalf("no corpus: %v", err)
		}
		f.Add(data)
	}
	f.Add([]byte("  sl  local_address rem_address   st\n   0: 0B00000A:094B 0C00000A:D431 01 \n   1: 000000000000000000000000FFFF0A00:094B 000000FD000000000000000012000000:D431 01\n"))
	ports := []uint16{2379, 2380}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := connections(data, ports)
		if err != nil && found != nil {
			t.Errorf("both: %v %v", found, err)
		}
		for _, c := range found {
			if c.From.Addr() == c.To.Addr() || c.From.Addr().IsLoopback() || c.From.Addr().Is4In6() || !netip.AddrPort.IsValid(c.From) {
				t.Errorf("got %v", c)
			}
		}
	})
}
