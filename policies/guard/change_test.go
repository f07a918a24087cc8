package guard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

const spec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, node: cp-0, addresses: [10.99.0.1]}
      - {name: etcd-1, node: cp-1, addresses: [10.99.0.2]}
  apiServers:
    - {name: cp-0, addresses: [10.99.0.1]}
  isolation: {scrapers: [10.99.0.40/32], podCIDRs: [10.244.0.0/16]}
`

func newIntent(t *testing.T) *policies.Intent {
	t.Helper()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// A member is found by its addresses or by its name, and keeps its rules under a wrong name.
func TestFindHost(t *testing.T) {
	t.Parallel()
	member, stranger := netip.MustParseAddr("10.99.0.2"), netip.MustParseAddr("10.99.0.77")
	tests := []struct {
		name  string
		addr  netip.Addr
		given string
		want  policies.NodeFilter
		wrong bool
	}{
		{"by address", member, "", policies.NodeFilter{Name: "etcd-1", Member: true}, false},
		{"by the member's name", member, "etcd-1", policies.NodeFilter{Name: "etcd-1", Member: true}, false},
		{"by the node's name", stranger, "cp-0", policies.NodeFilter{Name: "etcd-0", Member: true}, false},
		{"another node", stranger, "", policies.NodeFilter{Name: "this host"}, false},
		{"another node by name", stranger, "worker-7", policies.NodeFilter{Name: "worker-7"}, false},
		{"a wrong name on a member's host", member, "worker-7", policies.NodeFilter{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, err := findHost(newIntent(t), []netip.Addr{test.addr}, test.given)
			if e, ok := errors.AsType[*WrongNodeError](err); ok != test.wrong || ok && (e.Member != "etcd-1" || e.Name != test.given) {
				t.Fatalf("got %v", err)
			}
			if !test.wrong && h.NodeFilter != test.want {
				t.Errorf("got %+v, want %+v", h.NodeFilter, test.want)
			}
		})
	}
}

// What is watched is what the host is wanted to reach, and no more.
func TestHostProbes(t *testing.T) {
	t.Parallel()
	i := newIntent(t)
	tests := []struct {
		host Host
		want []Probe
	}{
		{
			Host{policies.NodeFilter{Name: "etcd-0", Member: true}, []netip.Addr{netip.MustParseAddr("10.99.0.1")}},
			[]Probe{
				{"etcd-0 client port", "10.99.0.1:2379", AnswersTLS}, {"etcd-0 peer port", "10.99.0.1:2380", AnswersTLS},
				{"etcd-1 client port", "10.99.0.2:2379", AnswersTLS}, {"etcd-1 peer port", "10.99.0.2:2380", AnswersTLS},
				{"API server cp-0", "10.99.0.1:6443", AnswersTLS}, {"health of etcd here", "127.0.0.1:2381", Healthy},
			},
		},
		{
			Host{policies.NodeFilter{Name: "worker-7"}, []netip.Addr{netip.MustParseAddr("10.99.0.77")}},
			[]Probe{{"API server cp-0", "10.99.0.1:6443", AnswersTLS}},
		},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, test.host.Probes(i, 6443)); diff != "" {
			t.Errorf("%s:\n%s", test.host, diff)
		}
	}
}

// Whom the spec does not let in is cut off; a host and itself are not.
func TestCutOff(t *testing.T) {
	t.Parallel()
	host := Host{policies.NodeFilter{Name: "etcd-0", Member: true}, []netip.Addr{netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("10.99.0.9")}}
	at := func(from string, port uint16) Connection {
		return Connection{From: netip.MustParseAddrPort(from), To: netip.AddrPortFrom(host.Addrs[0], port)}
	}
	got := findCuts(newIntent(t), host, []Connection{
		at("10.99.0.2:4000", 2380), at("10.99.0.77:4001", 2379), at("10.99.0.9:4002", 2379), at("10.99.0.40:4003", 2381), at("10.99.0.40:4004", 2379),
	})
	if diff := cmp.Diff([]Cut{{"10.99.0.77:4001", 2379}, {"10.99.0.40:4004", 2379}}, got); diff != "" {
		t.Error(diff)
	}
}

// Only the tables that matter are listed, and one that is not there is no error.
func TestListsTheTableAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, program := filepath.Join(dir, "log"), filepath.Join(dir, "nft")
	script := `#!/bin/sh
echo "$@" >>` + log + `
case "$*" in
"-j list tables") echo '{"nftables": [{"table": {"family": "ip", "name": "kube-proxy"}}, {"table": {"family": "inet", "name": "one"}}]}' ;;
"-j list table inet one") echo '{"nftables": [{"table": {"family": "inet", "name": "one"}}, {"chain": {"family": "inet", "table": "one", "name": "input"}}]}' ;;
*) exit 1 ;;
esac
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	want := &nft.Ruleset{Tables: []nft.Table{{Family: "inet", Name: "one"}, {Family: "inet", Name: "two"}}}
	live, err := Nft(program).Tables(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if len(live.Tables) != 1 || live.Tables[0].Name != "one" || len(live.Tables[0].Chains) != 1 {
		t.Errorf("%+v", live.Tables)
	}
	asked, err := os.ReadFile(log)
	if err != nil || string(asked) != "-j list tables\n-j list table inet one\n" {
		t.Errorf("%q, %v", asked, err)
	}
}

// That nft may not is told by what this process may, and not by what a program says.
func TestNotPermittedByCapability(t *testing.T) {
	t.Parallel()
	if !mayAdministerNetwork() {
		t.Skip("this process has no CAP_NET_ADMIN to drop")
	}
	_, err := Nft("/bin/false").Tables(t.Context(), &nft.Ruleset{})
	if err == nil || errors.Is(err, ErrNotPermitted) {
		t.Errorf("with the capability: %v", err)
	}
	dropped := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine, and what it dropped with it
		var sets [2]unix.CapUserData
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capget(&header, &sets[0]); err != nil {
			dropped <- err
			return
		}
		sets[unix.CAP_NET_ADMIN/32].Effective &^= 1 << (unix.CAP_NET_ADMIN % 32)
		if err := unix.Capset(&header, &sets[0]); err != nil {
			dropped <- err
			return
		}
		_, err := Nft("/bin/false").Tables(context.Background(), &nft.Ruleset{})
		dropped <- err
	}()
	if err := <-dropped; !errors.Is(err, ErrNotPermitted) {
		t.Errorf("without the capability: %v", err)
	}
}

// change is a plan for member etcd-0 that is loaded, with its watchdog in this process.
type loaded struct {
	*Change
	plan  *Plan
	state *State
	dir   string
}

// load loads a change under guard. Where the guard's time is short and the machine so slow that
// it was over before all was loaded, load tries again with more.
func load(t *testing.T, n Nft, probes []Probe, o Options) loaded {
	t.Helper()
	for {
		c, err := tryLoad(t, n, probes, o)
		if err == nil {
			return c
		}
		if !errors.Is(err, ErrNotLoaded) || o.Within >= time.Minute {
			t.Fatal(err)
		}
		o.Within *= 4
	}
}

func tryLoad(t *testing.T, n Nft, probes []Probe, o Options) (loaded, error) {
	t.Helper()
	dir := stateDir(t)
	state, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(state.Close)
	i := newIntent(t)
	host, err := ThisHost(i, "")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(t.Context(), i, host, probes, n)
	if err != nil {
		t.Fatal(err)
	}
	if plan.HostName != "etcd-0" || plan.Outcome != PlanOpen || len(plan.Changes) != 1 || plan.Changes[0].Kind != policies.Missing {
		t.Fatalf("planned: %+v", plan)
	}
	o.State, o.Now = state, time.Now
	o.Watch = func(within time.Duration) error {
		up := make(chan struct{})
		go func() {
			_, err := Watch(context.WithoutCancel(t.Context()), dir, n, within, func() error { close(up); return nil })
			if err != nil {
				t.Error(err)
			}
		}()
		<-up
		return nil
	}
	c, err := plan.Load(t.Context(), n, o)
	return loaded{c, plan, state, dir}, err
}

// A change is kept only by a yes, by the word of another session, or by checks that held.
func TestChange(t *testing.T) {
	n, in := inside(t, "10.99.0.1/32")
	if !in {
		return
	}
	listener := func(t *testing.T) net.Listener {
		t.Helper()
		l, err := net.Listen("tcp", "10.99.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte("\x15\x03\x03\x00\x02\x02\x28"))
				_ = c.Close()
			}
		}()
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	answer := func(text string) <-chan string {
		c := make(chan string, 1)
		c <- text
		return c
	}
	closed := make(chan string)
	close(closed)
	tests := []struct {
		name    string
		options Options
		answers <-chan string
		during  func(t *testing.T, c loaded, l net.Listener, cancel func())
		want    Outcome
		reason  string
	}{
		{name: "a yes", options: Options{Within: time.Minute}, answers: answer(" yes \n"), want: PlanKept},
		{name: "another answer", options: Options{Within: time.Minute}, answers: answer("y"), want: PlanUndone, reason: `the answer was "y"`},
		{name: "nobody says a word", options: Options{Within: 200 * time.Millisecond}, want: PlanUndone, reason: "it was not confirmed within "},
		{name: "no more answers", options: Options{Within: 200 * time.Millisecond}, answers: closed, want: PlanUndone, reason: "it was not confirmed within "},
		{name: "checks that held", options: Options{Within: 200 * time.Millisecond, ByChecks: true}, want: PlanKept},
		{
			name: "checks that are lost", options: Options{Within: time.Minute}, want: PlanUndone, reason: "answered before, but no longer does",
			during: func(_ *testing.T, _ loaded, l net.Listener, _ func()) { _ = l.Close() },
		},
		{
			name: "the end of the command", options: Options{Within: time.Minute}, want: PlanUndone, reason: "this command was stopped",
			during: func(_ *testing.T, _ loaded, _ net.Listener, cancel func()) { cancel() },
		},
		{
			name: "another session keeps it", options: Options{Within: time.Minute}, want: PlanKept,
			during: func(t *testing.T, c loaded, _ net.Listener, _ func()) {
				t.Helper()
				if w, err := Settle(t.Context(), c.dir, Keep); w != Kept || err != nil {
					t.Error(w, err)
				}
			},
		},
		{
			name: "another session undoes it", options: Options{Within: time.Minute}, want: PlanUndone, reason: "another session undid it",
			during: func(t *testing.T, c loaded, _ net.Listener, _ func()) {
				t.Helper()
				if w, err := Settle(t.Context(), c.dir, Undo); w != Undone || err != nil {
					t.Error(w, err)
				}
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_ = n.Load(t.Context(), []byte("table inet etcdsec-prod\ndelete table inet etcdsec-prod\n"))
			l := listener(t)
			c := load(t, n, []Probe{{"something", l.Addr().String(), AnswersTLS}}, test.options)
			// Where the time is short, it may be over by now.
			if within := c.options.Within; !strings.Contains(tables(t, n), "table inet etcdsec-prod") && (within >= time.Minute || time.Since(c.began) < within) {
				t.Fatal("not loaded")
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.during != nil {
				test.during(t, c, l, cancel)
			}
			reason, err := c.Wait(ctx, test.answers)
			if err != nil {
				t.Fatal(err)
			}
			if c.plan.Outcome != test.want || (reason == nil) != (test.want == PlanKept) || reason != nil && !strings.Contains(reason.Error(), test.reason) {
				t.Errorf("%s because %v, want %s because %q", c.plan.Outcome, reason, test.want, test.reason)
			}
			if there := strings.Contains(tables(t, n), "table inet etcdsec-prod"); there != (test.want == PlanKept) {
				t.Errorf("%s, and loaded is %t", c.plan.Outcome, there)
			}
		})
	}
}

// Rules that cannot be loaded leave the filter as it was, and nothing that waits for a decision.
func TestLoadFails(t *testing.T) {
	n, in := inside(t, "10.99.0.1/32")
	if !in {
		return
	}
	// It does all that nft does but for the rules themselves.
	broken := filepath.Join(t.TempDir(), "nft")
	script := "#!/bin/sh\nif [ \"$1\" = -f ]; then\n  text=$(cat)\n  case $text in *'chain input'*) echo no such luck >&2; exit 1;; esac\n  printf '%s\\n' \"$text\" | exec " + string(n) + " -f -\nfi\nexec " + string(n) + " \"$@\"\n"
	if err := os.WriteFile(broken, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := n.Load(t.Context(), []byte(ours)); err != nil {
		t.Fatal(err)
	}
	before := tables(t, n)
	dir := stateDir(t)
	state, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	i := newIntent(t)
	host, err := ThisHost(i, "")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(t.Context(), i, host, nil, Nft(broken))
	if err != nil {
		t.Fatal(err)
	}
	noWatch := errors.New("no watchdog")
	options := Options{State: state, Within: time.Minute, Now: time.Now, Watch: func(time.Duration) error { return noWatch }}
	if _, err := plan.Load(t.Context(), Nft(broken), options); !errors.Is(err, noWatch) || tables(t, n) != before {
		t.Errorf("without a watchdog: %v", err)
	}
	options.Watch = func(time.Duration) error { return nil }
	if _, err := plan.Load(t.Context(), Nft(broken), options); !errors.Is(err, ErrNotLoaded) || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("got %v", err)
	}
	if got := tables(t, n); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	state.Close()
	again, err := Open(dir)
	if err != nil {
		t.Fatalf("something waits for a decision: %v", err)
	}
	again.Close()
}
