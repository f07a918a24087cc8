package etcdtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// The ports are below those that Linux gives to outgoing connections (from 32768), so that no
// connection takes one between its choice and its use.
const firstPort, lastPort = 20000, 32000

// FreePortsOn reserves n TCP ports that are free on all of the hosts. They stay reserved until this
// process ends, also against other processes that use this function. The packages of `go test ./...`
// run at the same time. Without a reservation, a member whose port is taken would end, and its test
// would talk to the member of another test.
func FreePortsOn(hosts []string, n int) ([]int, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("etcdsec-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var ports []int
	for attempts := 0; len(ports) < n; attempts++ {
		if attempts > 100*n {
			return nil, fmt.Errorf("found no %d free ports on %v", n, hosts)
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		if reserve(filepath.Join(dir, strconv.Itoa(port))) && freeOn(hosts, port) {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// reserve locks the file of a port. It never closes the descriptor, so that the lock lasts until the
// process ends. The garbage collector would close an *os.File.
func reserve(path string) bool {
	fd, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return false
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(fd) // it holds nothing
		return false
	}
	return true
}

// freeOn reports whether a port is free on all of the hosts.
func freeOn(hosts []string, port int) bool {
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = l.Close() // nothing was accepted
	}
	return true
}
