package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Address is an IP address or a DNS name of a host, exactly one of them.
type Address struct {
	IP  netip.Addr // invalid for a DNS name; never an IPv4-mapped IPv6 address
	DNS string     // lower-case, without a trailing dot; empty for an IP address
}

func (a Address) String() string {
	if a.IP.IsValid() {
		return a.IP.String()
	}
	return a.DNS
}

// ParseAddress parses an IP address or a DNS name. It refuses a URL, a host with a port and a
// network, and its error says which of them it saw: cfssl would silently make a DNS name or a URI of
// them.
func ParseAddress(s string) (Address, error) {
	switch {
	case s == "":
		return Address{}, errors.New("an address is empty")
	case strings.TrimSpace(s) != s:
		return Address{}, fmt.Errorf("%q has white space around it", s)
	case strings.Contains(s, "://"):
		return Address{}, fmt.Errorf("%q is a URL; give only the host", s)
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return ipAddress(ip)
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return Address{}, fmt.Errorf("%q is a network; give one address", s)
	}
	if host, port, ok := cutPort(s); ok {
		return Address{}, fmt.Errorf("%q has port %s; give %q, and the ports under spec.etcd", s, port, host)
	}
	if err := checkDNSName(s); err != nil {
		return Address{}, err
	}
	return Address{DNS: s}, nil
}

func ipAddress(ip netip.Addr) (Address, error) {
	switch {
	case ip.Zone() != "":
		return Address{}, fmt.Errorf("%q has a zone, which no certificate can hold", ip)
	case ip.Unmap().IsUnspecified():
		return Address{}, fmt.Errorf("%q is not an address that others can reach", ip)
	case ip.Unmap().IsMulticast():
		return Address{}, fmt.Errorf("%q is a multicast address", ip)
	}
	return Address{IP: ip.Unmap()}, nil
}

// cutPort splits "host:port" and "[v6]:port". A bare IPv6 address has no port.
func cutPort(s string) (host, port string, ok bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return "", "", false
	}
	host, port = s[:colon], s[colon+1:]
	if port == "" || strings.Trim(port, "0123456789") != "" {
		return "", "", false
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1], port, true
	}
	return host, port, !strings.Contains(host, ":")
}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// checkDNSName accepts the names of RFC 1123 in lower case, because many programs compare the names
// in certificates and name constraints byte by byte.
func checkDNSName(s string) error {
	if len(s) > 253 {
		return fmt.Errorf("%q… is longer than a DNS name may be (253)", s[:40])
	}
	if strings.ToLower(s) != s {
		return fmt.Errorf("%q has capitals; write %q", s, strings.ToLower(s))
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if !dnsLabel.MatchString(label) {
			return fmt.Errorf("%q is neither an IP address nor a DNS name", s)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return fmt.Errorf("%q is neither an IP address nor a DNS name: its last part is a number", s)
	}
	return nil
}

// Range is a set of addresses that certificates may name: a network, or a domain and its subdomains.
type Range struct {
	Prefix netip.Prefix // invalid for a domain
	Domain string
}

func (r Range) String() string {
	if r.Prefix.IsValid() {
		return r.Prefix.String()
	}
	return r.Domain
}

// ParseRange parses a network in CIDR form, an IP address or a domain.
func ParseRange(s string) (Range, error) {
	if prefix, err := ParsePrefix(s); err == nil {
		return Range{Prefix: prefix}, nil
	} else if strings.Contains(s, "/") {
		return Range{}, err
	}
	if err := checkDNSName(s); err != nil {
		return Range{}, err
	}
	return Range{Domain: s}, nil
}

// ParsePrefix parses a network in CIDR form, or an address, which is a network of one. It refuses
// bits after the prefix length, because they are usually a mistake.
func ParsePrefix(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as 10.0.0.0/24", s)
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network written as IPv6; write it as IPv4", s)
	case prefix.Masked() != prefix:
		return netip.Prefix{}, fmt.Errorf("%q has bits after its length; did you mean %s?", s, prefix.Masked())
	}
	return prefix, nil
}
