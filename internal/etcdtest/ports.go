package etcdtest

import (
	"fmt"
	"net"
	"strconv"
)

// FreePortsOn finds n TCP ports that nobody listens on just now at any of the hosts, so
// that members on different loopback addresses can share them.
func FreePortsOn(hosts []string, n int) ([]int, error) {
	var ports []int
	for attempts := 0; len(ports) < n; attempts++ {
		if attempts > 100*n {
			return nil, fmt.Errorf("found no %d free ports on %v", n, hosts)
		}
		first, err := net.Listen("tcp", net.JoinHostPort(hosts[0], "0"))
		if err != nil {
			return nil, err
		}
		defer first.Close() // held until all are found, so that they differ
		port := first.Addr().(*net.TCPAddr).Port
		if freeOn(hosts[1:], port) {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

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
