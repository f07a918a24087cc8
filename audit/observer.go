package audit

import (
	"net"
	"net/netip"
	"strings"
)

// Observer is the host from which a target was looked at. A target whose address means another
// thing on every host, such as 127.0.0.1:2379 or the path of a file, is told by it.
type Observer struct {
	Name string // of the host; empty if nobody said
}

// SetObserver implements Target.
func (o *Observer) SetObserver(name string) { o.Name = name }

// hostOf returns the name of the host of an address that means another thing on every host; empty
// for one that does not.
func (o Observer) hostOf(local bool) string {
	if local {
		return o.Name
	}
	return ""
}

// isLocalAddress reports whether a "host:port" means another port on every host.
func isLocalAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return strings.HasPrefix(address, "/") || strings.HasPrefix(address, "unix")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return isLocalIP(ip)
	}
	host = strings.TrimSuffix(host, ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func isLocalIP(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()
}
