// Package netns runs a test in its own network namespace, where no other process uses its addresses,
// ports and packet filters. It needs Linux and ip(8).
package netns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// marker names the variable that is set in the process inside the namespace.
const marker = "ETCDSEC_TEST_NETNS"

// Inside reports whether this process is in the namespace already. If not, it runs the calling
// test again in a new process, in a namespace whose loopback interface has the given addresses,
// such as "10.99.0.1/32". It reports the result of that run and returns false, and the caller then
// returns. If the user may not create a namespace, it skips the test with that reason.
func Inside(t *testing.T, addresses ...string) bool {
	t.Helper()
	if os.Getenv(marker) == t.Name() {
		setUp(t, addresses)
		return true
	}
	if _, err := Tool("ip"); err != nil {
		t.Skipf("ip(8) is not installed, which sets up a network namespace: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1") //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOSPC):
		t.Skipf("this system allows no network namespace (run as root, or allow user namespaces): %v", err)
	case err != nil:
		t.Fatalf("in its network namespace: %v\n%s", err, out)
	default:
		t.Logf("in its network namespace:\n%s", out)
	}
	return false
}

// setUp gives the loopback interface of the namespace its addresses.
func setUp(t *testing.T, addresses []string) {
	t.Helper()
	runIP(t, "link", "set", "lo", "up")
	for _, address := range addresses {
		args := []string{"address", "add", address, "dev", "lo"}
		if strings.Contains(address, ":") {
			args = append(args, "nodad") // in use at once, without looking for duplicates first
		}
		runIP(t, args...)
	}
	for _, from := range addresses {
		for _, to := range addresses {
			waitForRoute(t, from, to)
		}
	}
}

// waitForRoute waits until packets from one address reach the other: the kernel creates the routes of
// an IPv6 address a little later than the address.
func waitForRoute(t *testing.T, from, to string) {
	t.Helper()
	source, target := netip.MustParsePrefix(from).Addr(), netip.MustParsePrefix(to).Addr()
	if source.Is4() != target.Is4() {
		return
	}
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		conn, err := d.DialContext(ctx, "udp", netip.AddrPortFrom(target, 9).String()) // sends nothing
		if err == nil {
			_ = conn.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s is not reached from %s: %v", target, source, err)
		}
		<-time.After(time.Millisecond)
	}
}

// runIP runs ip(8) and fails the test if that fails.
func runIP(t *testing.T, args ...string) {
	t.Helper()
	path, err := Tool("ip")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil { //nolint:gosec // ip(8), in a namespace of the test
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// Tool returns the path of ip or nft, which may not be in a user's PATH.
func Tool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// NeedNft skips a test, inside its namespace, if the kernel has no nftables.
func NeedNft(t *testing.T) {
	t.Helper()
	runOrSkip(t, "nft", "add", "table", "inet", "probe")
	runOrSkip(t, "nft", "delete", "table", "inet", "probe")
}

// NeedLinks skips a test, inside its namespace, if the kernel has no veth pairs and bridges.
func NeedLinks(t *testing.T) {
	t.Helper()
	runOrSkip(t, "ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
	runOrSkip(t, "ip", "link", "delete", "probe0")
	runOrSkip(t, "ip", "link", "add", "probe0", "type", "bridge")
	runOrSkip(t, "ip", "link", "delete", "probe0")
}

// runOrSkip runs a tool and skips the test if it fails.
func runOrSkip(t *testing.T, tool string, args ...string) {
	t.Helper()
	path, err := Tool(tool)
	if err != nil {
		t.Skipf("%s is not installed: %v", tool, err)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil { //nolint:gosec // ip(8) or nft(8), in a namespace of the test
		t.Skipf("this kernel lacks what the test needs: %s %v: %v: %s", tool, args, err, out)
	}
}
