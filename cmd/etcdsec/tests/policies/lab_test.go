package policies_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/netns"
	"github.com/etcdsec/etcdsec/policies"
)

// labFlow is a connection of the laboratory.
type labFlow struct {
	from, to *labHost
	dst      netip.Addr
	port     uint16
}

func (f labFlow) String() string {
	return fmt.Sprintf("%s to %s, %s", f.from.name, f.to.name, netip.AddrPortFrom(f.dst, f.port))
}

// flows returns the connections from everybody to every member, also a joining one, at each port, by
// IPv4 and IPv6.
func (s *policiesSite) flows() []labFlow {
	var all []labFlow
	for _, from := range slices.Concat(s.hosts, s.pods) {
		for _, to := range s.hosts[:4] {
			for _, dst := range to.addrs {
				for _, port := range s.intent.Ports.All() {
					all = append(all, labFlow{from, to, dst, port})
				}
			}
		}
	}
	return all
}

// wanted reports whether the spec allows the connection.
func (f labFlow) wanted(i *policies.Intent) bool {
	if f.from == f.to {
		return true
	}
	if f.from.node != nil && f.from.masqueraded {
		return false // a scraper or backup has an address of its own
	}
	for _, a := range f.from.addrs {
		if a.Is4() == f.dst.Is4() && i.Wanted(a, f.port) {
			return true
		}
	}
	return false
}

// measure tries all flows at once. An accepted connection is certain. If a flow should be accepted but
// was not, it tries again, because a busy machine is slow too.
func measure(t *testing.T, flows []labFlow, expected func(labFlow) bool) []labReach {
	t.Helper()
	found := make([]labReach, len(flows))
	slots := make(chan struct{}, 128)
	var wg sync.WaitGroup
	for n, f := range flows {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			address := netip.AddrPortFrom(f.dst, f.port).String()
			for _, patience := range []time.Duration{1500 * time.Millisecond, 5 * time.Second, time.Minute} {
				r, err := f.from.reaches(t.Context(), address, patience)
				if err != nil {
					t.Errorf("%s: %v", f, err)
				}
				if found[n] = r; r == reached || !expected(f) {
					return
				}
			}
		})
	}
	wg.Wait()
	return found
}

func needPoliciesLab(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"nft", "ip", "nsenter"} {
		if _, err := netns.Tool(tool); err != nil {
			t.Skipf("%s is not installed, and the laboratory is made of network namespaces: %v", tool, err)
		}
	}
}

// Real packets between real hosts with a real etcd in them: who reaches which port of which
// member is what "policies prove" says of the rules that the kernel has, and what the spec says.
func TestPoliciesLaboratory(t *testing.T) {
	needPoliciesLab(t)
	t.Parallel()
	if !netns.Inside(t) {
		return
	}
	netns.NeedNft(t)
	netns.NeedLinks(t)
	s := newPoliciesSite(t)
	s.startEtcd(t)
	flows := s.flows()

	// Without rules everybody reaches everything, or the rest would prove nothing.
	for n, r := range measure(t, flows, func(labFlow) bool { return true }) {
		if r != reached {
			t.Fatalf("before any rule: %s: %s", flows[n], r)
		}
	}
	s.quorum(t)

	s.load(t)
	m := s.matrix()
	for n, r := range measure(t, flows, func(f labFlow) bool { return f.wanted(s.intent) }) {
		f := flows[n]
		p := m.flow(t, f)
		want := f.wanted(s.intent)
		if got := r == reached; got != p.Allowed || got != want || !got && r != dropped {
			t.Errorf("%s: %s; the matrix says %t (%s), the spec says %t", f, r, p.Allowed, p.DecidedBy, want)
		}
		if p.Wanted != want && !p.Unavoidable { // a host and itself
			t.Errorf("%s: the matrix takes it for wanted: %t, and the spec says %t", f, p.Wanted, want)
		}
	}
	s.quorum(t)

	t.Run("other addresses and hosts", s.testElsewhere)
	t.Run("through a Service", s.testService)
	t.Run("sent on by the host itself", s.testSentOn)
	t.Run("without the forward chain", s.testNoForward)
	t.Run("without the other members", s.testNoMembers)
	t.Run("rules of others at other hooks", s.testOtherHooks)
	t.Run("apply", s.testApply)
}

// A member's ports are closed at addresses of which the spec does not know, and those of a
// node without a member are open for whatever listens there.
func (s *policiesSite) testElsewhere(t *testing.T) {
	cp, node, outsider := s.host("cp-0"), s.host("worker"), s.host("outsider")
	cp.run(t, "", "ip", "address", "add", "10.0.0.111/24", "dev", "eth0")
	node.listen(t, "10.0.0.31:2379")
	if r, err := outsider.reaches(t.Context(), "10.0.0.31:2379", time.Minute); r != reached {
		t.Errorf("a service of a worker: %s %v", r, err)
	}
	if r, err := outsider.reaches(t.Context(), "10.0.0.111:2381", 1500*time.Millisecond); r != dropped {
		t.Errorf("another address of a member: %s %v", r, err)
	}
	if r, err := s.host("scraper").reaches(t.Context(), "10.0.0.111:2381", time.Minute); r != reached {
		t.Errorf("another address of a member, from a scraper: %s %v", r, err)
	}
}

// Who sends to the address of a Service, or to a port of a node that leads to one, is judged by
// where it goes in the end: the destination is translated before the rules see it.
func (s *policiesSite) testService(t *testing.T) {
	cp := s.host("cp-0")
	cp.run(t, "table ip services {\n chain pre {\n type nat hook prerouting priority dstnat;\n"+
		" ip daddr 10.96.0.1 tcp dport 443 dnat to 10.0.0.12:2379\n tcp dport 32379 dnat to 10.0.0.12:2379\n tcp dport 32380 redirect to :2379\n }\n"+
		" chain post {\n type nat hook postrouting priority srcnat;\n ct status dnat oifname \"eth0\" masquerade\n }\n}\n", "nft", "-f", "-")
	ways := []struct {
		name    string
		from    *labHost
		address string
	}{
		{"a Pod of a member's host to a ClusterIP", s.host("pod-cp"), "10.96.0.1:443"},
		{"an outsider to a NodePort", s.host("outsider"), "10.0.0.11:32379"},
		{"an outsider to a port of the member", s.host("outsider"), "10.0.0.11:32380"},
	}
	var wg sync.WaitGroup
	for _, w := range ways {
		wg.Go(func() {
			if r, err := w.from.reaches(t.Context(), w.address, 1500*time.Millisecond); r != dropped {
				t.Errorf("%s: %s %v", w.name, r, err)
			}
		})
	}
	wg.Wait()
	cp.run(t, "", "nft", "delete", "table", "inet", labTable)
	for _, w := range ways {
		if r, err := w.from.reaches(t.Context(), w.address, time.Minute); r != reached {
			t.Errorf("without rules, %s: %s %v; the laboratory does not see the way", w.name, r, err)
		}
	}
	cp.run(t, "", "nft", "delete", "table", "ip", "services")
	s.load(t)
}

// What leaves a host as its own and has the address of another, as IPVS sends it on, is
// stopped there. The kernel of a test may have no IPVS, but any socket may be bound to an
// address that is not there.
func (s *policiesSite) testSentOn(t *testing.T) {
	cp := s.host("cp-0")
	foreign := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 244, 9, 9)},
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1) }) // fails with the bind
		},
	}
	stopped := func() string { return cp.run(t, "", "nft", "list", "chain", "inet", labTable, "output") }
	if before := stopped(); strings.Contains(before, "packets 1") || !strings.Contains(before, "packets 0") {
		t.Errorf("the host's own packets were stopped: %s", before)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := cp.do(func() error {
		_, err := foreign.DialContext(ctx, "tcp", "10.0.0.12:2379")
		return err
	}); !os.IsTimeout(err) {
		t.Errorf("got %v", err)
	}
	if after := stopped(); !strings.Contains(after, "packets 1") {
		t.Errorf("the packet was not stopped: %s", after)
	}
}

// A Pod on a control plane borrows its address where nothing stops it on the way.
func (s *policiesSite) testNoForward(t *testing.T) {
	cp, pod, other := s.host("cp-0"), s.host("pod-cp"), s.host("cp-1")
	var flows []labFlow
	for _, dst := range other.addrs {
		for _, port := range []uint16{2379, 2380} {
			flows = append(flows, labFlow{pod, other, dst, port})
		}
	}
	for n, r := range measure(t, flows, func(labFlow) bool { return false }) {
		if r != dropped {
			t.Errorf("%s: %s", flows[n], r)
		}
	}
	cp.run(t, "", "nft", "flush", "chain", "inet", labTable, "forward")
	cp.rules = cp.ruleset(t)
	m := s.matrix()
	for n, r := range measure(t, flows, func(labFlow) bool { return true }) {
		if p := m.flow(t, flows[n]); r != reached || !p.Allowed {
			t.Errorf("without the forward chain: %s: %s, the matrix says %t; the laboratory does not see the hole", flows[n], r, p.Allowed)
		}
	}
	s.load(t)
}

// What the obvious policy forgets: without the members themselves there is no quorum.
func (s *policiesSite) testNoMembers(t *testing.T) {
	for _, h := range s.hosts[:3] {
		h.run(t, "flush set inet etcdsec-lab members4\nflush set inet etcdsec-lab members6\n", "nft", "-f", "-")
	}
	deadline := time.Now().Add(2 * time.Minute)
	for s.write(t, 0, 3*time.Second) == nil {
		if time.Now().After(deadline) {
			t.Fatal("members that are not let in keep a quorum; the laboratory does not see when it breaks")
		}
	}
	s.load(t)
	s.quorum(t)
}
