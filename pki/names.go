package pki

import (
	"crypto/x509"
	"net"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
)

// Names are the subject alternative names (SANs) of a certificate. Their order has no meaning.
type Names struct {
	IPs []netip.Addr
	DNS []string
}

// loopback returns the names that every member's certificates have, as with kubeadm: etcdctl on the
// node connects to 127.0.0.1, and members on one machine connect from there.
func loopback() Names {
	return Names{
		IPs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()},
		DNS: []string{"localhost"},
	}
}

// hostNames returns all names by which a host is reached, including those of loopback.
func hostNames(h cluster.Host) Names {
	n := Names{IPs: h.IPs(), DNS: h.DNSNames()}
	return n.union(loopback())
}

func (n Names) union(m Names) Names {
	u := Names{IPs: slices.Clone(n.IPs), DNS: slices.Clone(n.DNS)}
	for _, ip := range m.IPs {
		if !slices.Contains(u.IPs, ip) {
			u.IPs = append(u.IPs, ip)
		}
	}
	for _, dns := range m.DNS {
		if !slices.Contains(u.DNS, dns) {
			u.DNS = append(u.DNS, dns)
		}
	}
	return u
}

// Strings returns the names as text, IP addresses first.
func (n Names) Strings() []string {
	s := make([]string, 0, len(n.IPs)+len(n.DNS))
	for _, ip := range n.IPs {
		s = append(s, ip.String())
	}
	return append(s, n.DNS...)
}

func (n Names) isEmpty() bool { return len(n.IPs)+len(n.DNS) == 0 }

// sameSet reports whether n and m have the same names, in any order.
func (n Names) sameSet(m Names) bool {
	a, b := n.Strings(), m.Strings()
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// namesOf returns the SANs of a certificate. other counts the SANs of kinds that no plan has.
func namesOf(cert *x509.Certificate) (n Names, other int) {
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			n.IPs = append(n.IPs, a.Unmap())
		}
	}
	n.DNS = slices.Clone(cert.DNSNames)
	return n, len(cert.EmailAddresses) + len(cert.URIs)
}

// constraints are the name constraints of an issuing CA (RFC 5280, 4.2.1.10).
type constraints struct {
	permitted []cluster.Range
	// none forbids every name: for leaves that only have a CN.
	none bool
}

// permit returns constraints that allow the names of all leaves below, and what the spec adds. It
// does not list names that the spec's ranges cover: every leaf's file contains the CA's certificate,
// and a thousand members have three thousand names.
func permit(n Names, more []cluster.Range) constraints {
	var c constraints
	for _, ip := range n.IPs {
		if slices.ContainsFunc(more, func(r cluster.Range) bool { return r.Prefix.IsValid() && r.Prefix.Contains(ip) }) {
			continue
		}
		c.permitted = append(c.permitted, cluster.Range{Prefix: netip.PrefixFrom(ip, ip.BitLen())})
	}
	for _, dns := range n.DNS {
		if slices.ContainsFunc(more, func(r cluster.Range) bool { return r.Domain != "" && isWithin(dns, r.Domain) }) {
			continue
		}
		c.permitted = append(c.permitted, cluster.Range{Domain: dns})
	}
	c.permitted = append(c.permitted, more...)
	return c
}

// apply writes the constraints into the template of a CA, as critical, as RFC 5280 requires.
func (c constraints) apply(template *x509.Certificate) {
	if c.none {
		template.PermittedDNSDomainsCritical = true
		template.ExcludedDNSDomains = []string{""} // the empty name is above every other
		template.ExcludedIPRanges = []*net.IPNet{everyIPv4(), everyIPv6()}
		return
	}
	for _, r := range c.permitted {
		template.PermittedDNSDomainsCritical = true
		if r.Prefix.IsValid() {
			template.PermittedIPRanges = append(template.PermittedIPRanges, ipNet(r.Prefix))
		} else {
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, r.Domain)
		}
	}
}

// constraintsCover reports whether a CA's constraints let it sign a leaf with these names.
func constraintsCover(ca *x509.Certificate, n Names) bool {
	for _, ip := range n.IPs {
		if len(ca.ExcludedIPRanges) > 0 || len(ca.PermittedIPRanges) > 0 &&
			!slices.ContainsFunc(ca.PermittedIPRanges, func(p *net.IPNet) bool { return p.Contains(ip.AsSlice()) }) {
			return false
		}
	}
	for _, dns := range n.DNS {
		if len(ca.ExcludedDNSDomains) > 0 || len(ca.PermittedDNSDomains) > 0 &&
			!slices.ContainsFunc(ca.PermittedDNSDomains, func(d string) bool { return isWithin(dns, d) }) {
			return false
		}
	}
	return true
}

func isWithin(name, domain string) bool {
	return name == domain || len(name) > len(domain) && name[len(name)-len(domain)-1:] == "."+domain
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func everyIPv4() *net.IPNet { return ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)) }
func everyIPv6() *net.IPNet { return ipNet(netip.PrefixFrom(netip.IPv6Unspecified(), 0)) }
