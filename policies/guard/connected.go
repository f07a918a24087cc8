package guard

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// Connection is a TCP connection from another host to a port of this host.
type Connection struct {
	From netip.AddrPort
	To   netip.AddrPort
}

// The files are of the network namespace of this process. A large API server has some ten
// thousand connections, at 150 bytes each.
const maxConnections = 64 << 20

// Connected returns the established TCP connections from other hosts to some ports of this host.
// It leaves out a host's connections with itself.
func Connected(ports []uint16) ([]Connection, error) {
	var all []Connection
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		data, err := durable.ReadFile(path, maxConnections)
		if err != nil {
			return nil, err
		}
		found, err := connections(data, ports)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Connection) int {
		if c := a.To.Compare(b.To); c != 0 {
			return c
		}
		return a.From.Compare(b.From)
	})
	return all, nil
}

// connections reads the table of proc(5): local and remote address in hexadecimal words of
// the host's byte order, and the state.
func connections(table []byte, ports []uint16) ([]Connection, error) {
	const established = "01"
	var all []Connection
	lines := bufio.NewScanner(bytes.NewReader(table))
	for n := 0; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if n == 0 || len(fields) < 4 || fields[3] != established {
			continue
		}
		local, err := procAddr(fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		remote, err := procAddr(fields[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if !slices.Contains(ports, local.Port()) || remote.Addr().IsLoopback() || remote.Addr() == local.Addr() {
			continue
		}
		all = append(all, Connection{From: remote, To: local})
	}
	return all, lines.Err()
}

func procAddr(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of proc", s)
	}
	// The kernel prints each word of 32 bits as a number of this machine.
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	a, ok := netip.AddrFromSlice(raw)
	p, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, errors.New(s + " is no address of proc")
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}
