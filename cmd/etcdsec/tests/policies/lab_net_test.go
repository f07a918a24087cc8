package policies_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/netns"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// labSpace is a network namespace, held open by a descriptor of this process.
type labSpace struct{ fd int }

// path returns the path of the namespace for ip(8) and nsenter(1).
func (s labSpace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.fd) }

// do runs f on a thread of the namespace, which ends with it.
func (s labSpace) do(f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is in another namespace for good
		if err := unix.Setns(s.fd, unix.CLONE_NEWNET); err != nil {
			ended <- err
			return
		}
		ended <- f()
	}()
	return <-ended
}

func newLabSpace(t *testing.T) labSpace {
	t.Helper()
	made := make(chan labSpace)
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			var fd int
			if fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY, 0); err == nil {
				made <- labSpace{fd}
				return
			}
		}
		failed <- err
	}()
	select {
	case s := <-made:
		t.Cleanup(func() { _ = unix.Close(s.fd) })
		s.run(t, "", "ip", "link", "set", "lo", "up")
		return s
	case err := <-failed:
		t.Fatal(err)
		return labSpace{}
	}
}

// run runs a program inside.
func (s labSpace) run(t *testing.T, stdin, program string, args ...string) string {
	t.Helper()
	path, err := netns.Tool(program)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = s.do(func() error {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Stdin = strings.NewReader(stdin)
		cmd.Stdout, cmd.Stderr = &out, &out
		return cmd.Run()
	})
	if err != nil {
		t.Fatalf("%s %v: %v: %s\n%s", program, args, err, out.String(), stdin)
	}
	return out.String()
}

// ruleset returns the rules that nft lists in the namespace.
func (s labSpace) ruleset(t *testing.T) *nft.Ruleset {
	t.Helper()
	r, err := nft.Parse([]byte(s.run(t, "", "nft", "-j", "list", "ruleset")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s labSpace) dial(ctx context.Context, address string) (net.Conn, error) {
	var conn net.Conn
	err := s.do(func() error {
		var d net.Dialer
		var err error
		conn, err = d.DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

// listen accepts connections at an address until the test ends.
func (s labSpace) listen(t *testing.T, address string) {
	t.Helper()
	var l net.Listener
	if err := s.do(func() error {
		var err error
		l, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
}

// labReach is the result of a connection.
type labReach string

const (
	reached labReach = "reached"
	dropped labReach = "dropped" // no answer in time
	refused labReach = "refused" // somebody answered, and nobody listens
)

func (s labSpace) reaches(ctx context.Context, address string, patience time.Duration) (labReach, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.dial(ctx, address)
	switch {
	case err == nil:
		return reached, conn.Close()
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused, nil
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return dropped, nil
	}
	return "", err
}

// labHost is a host of the laboratory, or a Pod behind one.
type labHost struct {
	labSpace

	name        string
	addrs       [2]netip.Addr // IPv4 and IPv6
	node        *labHost      // of a Pod
	masqueraded bool          // of a Pod: others see the node's address
	rules       *nft.Ruleset  // of a host, as it is loaded
}

// laboratory has hosts on one network. The namespace of the test is connected to it too.
type laboratory struct{ hosts, pods []*labHost }

func (l *laboratory) host(name string) *labHost {
	all := slices.Concat(l.hosts, l.pods)
	return all[slices.IndexFunc(all, func(h *labHost) bool { return h.name == name })]
}

func baseSpace(t *testing.T) labSpace {
	t.Helper()
	fd, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return labSpace{fd}
}

// addHost connects a host to the network: 10.0.0.N and fd00::N.
func (l *laboratory) addHost(t *testing.T, base labSpace, name string, n int) *labHost {
	t.Helper()
	h := &labHost{
		labSpace: newLabSpace(t), name: name,
		addrs: [2]netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", n)), netip.MustParseAddr(fmt.Sprintf("fd00::%d", n))},
	}
	if len(l.hosts) == 0 {
		base.run(t, "", "ip", "link", "add", "wire", "type", "bridge")
		base.run(t, "", "ip", "address", "add", "10.0.0.254/24", "dev", "wire")
		base.run(t, "", "ip", "link", "set", "wire", "up")
	}
	end := fmt.Sprintf("host%d", n)
	base.run(t, "", "ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", h.path())
	base.run(t, "", "ip", "link", "set", end, "master", "wire", "up")
	h.plug(t, "eth0", 24, 64)
	h.sysctl(t, "ipv4/ip_forward", "1")
	h.sysctl(t, "ipv6/conf/all/forwarding", "1")
	l.hosts = append(l.hosts, h)
	return h
}

func (h *labHost) plug(t *testing.T, dev string, bits4, bits6 int) {
	t.Helper()
	h.run(t, "", "ip", "address", "add", fmt.Sprintf("%s/%d", h.addrs[0], bits4), "dev", dev)
	// Without looking for duplicates first, which takes a second.
	h.run(t, "", "ip", "address", "add", fmt.Sprintf("%s/%d", h.addrs[1], bits6), "dev", dev, "nodad")
	h.run(t, "", "ip", "link", "set", dev, "up")
}

func (h *labHost) sysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := h.do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o600) }); err != nil {
		t.Fatal(err)
	}
}

// addPod connects a Pod to a node: 10.244.N.2 and fd00:244:N::2. Packets of a masqueraded Pod get the
// address of the node when they leave it. The other hosts have a route to a routed Pod.
func (l *laboratory) addPod(t *testing.T, name string, node *labHost, n int, masqueraded bool) {
	t.Helper()
	p := &labHost{
		labSpace: newLabSpace(t), name: name, node: node, masqueraded: masqueraded,
		addrs: [2]netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.244.%d.2", n)), netip.MustParseAddr(fmt.Sprintf("fd00:244:%d::2", n))},
	}
	end := fmt.Sprintf("pod%d", n)
	node.run(t, "", "ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", p.path())
	gateway := &labHost{labSpace: node.labSpace, addrs: [2]netip.Addr{p.addrs[0].Prev(), p.addrs[1].Prev()}}
	gateway.plug(t, end, 24, 64)
	p.plug(t, "eth0", 24, 64)
	p.run(t, "", "ip", "route", "add", "default", "via", gateway.addrs[0].String())
	p.run(t, "", "ip", "-6", "route", "add", "default", "via", gateway.addrs[1].String())
	if masqueraded {
		node.run(t, fmt.Sprintf("table inet cni%d {\n chain post {\n type nat hook postrouting priority srcnat;\n ip saddr %s oifname \"eth0\" masquerade\n ip6 saddr %s oifname \"eth0\" masquerade\n }\n}\n",
			n, p.addrs[0], p.addrs[1]), "nft", "-f", "-")
	} else {
		for _, h := range l.hosts {
			if h != node {
				h.run(t, "", "ip", "route", "add", p.addrs[0].String(), "via", node.addrs[0].String())
				h.run(t, "", "ip", "-6", "route", "add", p.addrs[1].String(), "via", node.addrs[1].String())
			}
		}
	}
	l.pods = append(l.pods, p)
}
