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

// ParseAddress takes an IP address or a DNS name and nothing else. What looks like a
// URL, a host with a port or a network is refused with a word on what it looks like:
// cfssl would have made a DNS name or a URI of it without complaint.
func ParseAddress(s string) (Address, error) {
	switch {
	case s == "":
		return Address{}, errors.New("an address is empty")
	case strings.TrimSpace(s) != s:
		return Address{}, fmt.Errorf("%q has white space around it", s)
	case strings.Contains(s, "://"):
		return Address{}, fmt.Errorf("%q is a URL; give the host alone", s)
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return ipAddress(ip)
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return Address{}, fmt.Errorf("%q is a network; give one address", s)
	}
	if host, port, ok := cutPort(s); ok {
		return Address{}, fmt.Errorf("%q carries port %s; give %q, and the ports under spec.etcd", s, port, host)
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

// checkDNSName accepts the names of RFC 1123 in lower case, since certificates and
// name constraints are compared byte by byte by too many programs.
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

// Range is a set of addresses that certificates may name: a network, or a domain with all below it.
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

// ParseRange takes a network in CIDR form, an IP address or a domain.
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

// ParsePrefix takes a network in CIDR form, or an address, which is a network of one.
// Bits set behind the prefix length are a mistake more often than not, and refused.
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
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network in IPv6 clothes; write it as IPv4", s)
	case prefix.Masked() != prefix:
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length; did you mean %s?", s, prefix.Masked())
	}
	return prefix, nil
}
