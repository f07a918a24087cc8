package audit

import (
	"net"
	"net/netip"
	"strings"
)

// Observer is the host on which a target was observed. It identifies a target whose address means
// something different on every host, such as 127.0.0.1:2379 or the path of a file.
type Observer struct {
	Name string // of the host; empty if unknown
}

// SetObserver implements Target.
func (o *Observer) SetObserver(name string) { o.Name = name }

// hostOf returns the name of the host if an address is local, so that it means something different on
// every host; otherwise it is empty.
func (o Observer) hostOf(local bool) string {
	if local {
		return o.Name
	}
	return ""
}

// isLocalAddress reports whether a "host:port" means a different port on every host.
func isLocalAddress(address string) bool {
	if strings.HasPrefix(address, "/") || strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "unixs:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
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
