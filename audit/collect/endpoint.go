package collect

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Endpoint is one listener to observe.
type Endpoint struct {
	Address       string // "host:port", as ParseAddress gives it, or the URL of a socket
	Socket        string // the file of a Unix socket, as etcd's URL has it; empty for a port
	SocketPath    string // where that file is on this machine
	Kind          audit.Kind
	ExpectedNames []string // that its certificate must cover, beyond the host of Address
	MinTLSVersion uint16   // the lowest it may agree to; 0 is TLS 1.2
	ClusterName   string   // the spec's; empty if there is none

	Settings *audit.Settings // of the etcd that has the listener; nil if they were not looked at
}

// An AddressError means that a text is no endpoint.
type AddressError struct {
	Written string
	Problem string // which quotes nothing of it
}

func (e *AddressError) Error() string { return fmt.Sprintf("endpoint %q: %s", e.Written, e.Problem) }

// ParseAddress returns the "host:port" of an endpoint that an operator wrote as host:port,
// http://host:port or https://host:port. The host may be a link-local address with its zone, as in
// [fe80::1%eth0]:2379. The scheme has no effect: both are always tried. The
// error is an *AddressError.
func ParseAddress(s string) (string, error) {
	rest := s
	if scheme, after, found := strings.Cut(s, "://"); found {
		if scheme != "http" && scheme != "https" {
			return "", &AddressError{s, "its scheme is not http or https"}
		}
		u, err := url.Parse(s)
		if err != nil {
			return "", &AddressError{s, "not a URL"}
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
			return "", &AddressError{s, "want only a scheme, a host and a port"}
		}
		rest = strings.TrimSuffix(after, "/")
	}
	if strings.Contains(rest, ",") {
		return "", &AddressError{s, "is a list; give each endpoint as a separate argument"}
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return "", &AddressError{s, "not host:port (an IPv6 address is written [::1]:2379)"}
	}
	if address, zone, zoned := strings.Cut(host, "%"); zoned {
		if s != rest {
			zone = strings.TrimPrefix(zone, "25") // a URL has %25 before the zone (RFC 6874)
		}
		ip, err := netip.ParseAddr(address)
		if err != nil || !ip.Is6() || ip.Is4In6() || !ip.IsLinkLocalUnicast() || !isZone(zone) {
			return "", &AddressError{s, "its host is not a link-local IPv6 address with the name of an interface"}
		}
		host = ip.WithZone(zone).String() // the names of interfaces have capitals
	} else if host == "" || strings.ContainsAny(host, " /\\@\"'") || strings.ContainsFunc(host, isUnprintable) {
		return "", &AddressError{s, "it has no host that could be one"}
	} else {
		host = strings.ToLower(host)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", &AddressError{s, "its port is not a number from 1 to 65535"}
	}
	return net.JoinHostPort(host, strconv.FormatUint(number, 10)), nil
}

// isZone reports whether a text can be the name of an interface, and is not one that a remediation would have to quote.
func isZone(name string) bool {
	odd := func(c rune) bool {
		return !strings.ContainsRune("-._", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	return name != "" && len(name) < 64 && name[0] != '-' && !strings.ContainsFunc(name, odd)
}
