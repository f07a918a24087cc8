package config

import (
	"net"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// listenersAt returns the listeners of the settings that have the target's port and host, or its socket.
// If none has the host, it returns all that have the port.
func listenersAt(t *audit.Listener, listeners []listener) []listener {
	if t.Socket != "" {
		return slices.DeleteFunc(listeners, func(l listener) bool { return l.socket != t.Socket })
	}
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil {
		return nil
	}
	listeners = slices.DeleteFunc(listeners, func(l listener) bool {
		_, its, err := net.SplitHostPort(l.address)
		return err != nil || its != port
	})
	var same []listener
	for _, l := range listeners {
		if sameHost(l, host, t.RemoteIP) {
			same = append(same, l)
		}
	}
	if len(same) > 0 {
		return same
	}
	return listeners
}

func sameHost(l listener, host string, remote netip.Addr) bool {
	its, _, _ := net.SplitHostPort(l.address) // it did before
	ip, err := netip.ParseAddr(its)
	switch {
	case its == host || its == "":
		return true
	case err == nil:
		return ip.IsUnspecified() || remote.IsValid() && ip.Unmap() == remote.Unmap()
	default:
		return its == "localhost" && remote.IsLoopback()
	}
}
