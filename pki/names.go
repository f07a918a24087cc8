package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// Names are the subject alternative names (SANs) of a certificate. Their order has no meaning.
type Names struct {
	IPs    []netip.Addr
	DNS    []string
	URIs   []string
	Emails []string
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

// extraNames returns names of the spec that are not addresses of a member.
func extraNames(extra []cluster.Name) Names {
	var n Names
	for _, name := range extra {
		switch {
		case name.IP.IsValid():
			n.IPs = append(n.IPs, name.IP)
		case name.DNS != "":
			n.DNS = append(n.DNS, name.DNS)
		case name.URI != "":
			n.URIs = append(n.URIs, name.URI)
		default:
			n.Emails = append(n.Emails, name.Email)
		}
	}
	return n
}

// union returns the names of both, without duplicates. It keeps DNS names that differ only in their
// case: programs that compare the bytes need both.
func (n Names) union(m Names) Names {
	return Names{
		IPs: appendNew(n.IPs, m.IPs), DNS: appendNew(n.DNS, m.DNS),
		URIs: appendNew(n.URIs, m.URIs), Emails: appendNew(n.Emails, m.Emails),
	}
}

// appendNew returns a copy of list with the elements of more that it does not have.
func appendNew[T comparable](list, more []T) []T {
	list = slices.Clone(list)
	for _, e := range more {
		if !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	return list
}

// Strings returns the names as text, IP addresses first. A DNS name that looks like an IP address has
// its kind in front of it, and so have mail addresses.
func (n Names) Strings() []string {
	s := make([]string, 0, len(n.IPs)+len(n.DNS))
	for _, ip := range n.IPs {
		s = append(s, ip.String())
	}
	for _, dns := range n.DNS {
		if _, err := netip.ParseAddr(dns); err == nil {
			dns = "DNS:" + dns
		}
		s = append(s, dns)
	}
	s = append(s, n.URIs...)
	for _, email := range n.Emails {
		s = append(s, "email:"+email)
	}
	return s
}

// typed returns the names with their kinds, as openssl writes them in its configuration. IP addresses
// are first, and there are no duplicates.
func (n Names) typed() []string {
	var s []string
	for _, ip := range n.IPs {
		s = append(s, "IP:"+ip.String())
	}
	for _, dns := range n.DNS {
		s = append(s, "DNS:"+dns)
	}
	for _, uri := range n.URIs {
		s = append(s, "URI:"+uri)
	}
	for _, email := range n.Emails {
		s = append(s, "email:"+email)
	}
	var unique []string
	for _, name := range s {
		if !slices.Contains(unique, name) {
			unique = append(unique, name)
		}
	}
	return unique
}

func (n Names) isEmpty() bool { return len(n.typed()) == 0 }

// filter returns the names for which keep returns true. It calls keep with the kind of each name, as in
// typed, and the name.
func (n Names) filter(keep func(kind, name string) bool) Names {
	return Names{
		IPs:    slices.DeleteFunc(slices.Clone(n.IPs), func(ip netip.Addr) bool { return !keep("IP", ip.String()) }),
		DNS:    slices.DeleteFunc(slices.Clone(n.DNS), func(dns string) bool { return !keep("DNS", dns) }),
		URIs:   slices.DeleteFunc(slices.Clone(n.URIs), func(uri string) bool { return !keep("URI", uri) }),
		Emails: slices.DeleteFunc(slices.Clone(n.Emails), func(email string) bool { return !keep("email", email) }),
	}
}

// without returns the names that m does not have. The case of a DNS name has no meaning (RFC 4343).
func (n Names) without(m Names) Names {
	return n.filter(func(kind, name string) bool {
		return !slices.ContainsFunc(m.typed(), func(there string) bool {
			return there == kind+":"+name || kind == "DNS" && strings.EqualFold(there, "DNS:"+name)
		})
	})
}

// NamesError tells how the names of a certificate differ from those that it should have. Each name has
// its kind, such as IP:10.0.0.11.
type NamesError struct{ Missing, Additional []string }

func (e *NamesError) Error() string {
	var parts []string
	if len(e.Missing) > 0 {
		parts = append(parts, "missing "+strings.Join(e.Missing, " "))
	}
	if len(e.Additional) > 0 {
		parts = append(parts, "additional "+strings.Join(e.Additional, " "))
	}
	text := "has the wrong names: " + strings.Join(parts, "; ")
	for _, name := range e.Additional {
		if dns, is := strings.CutPrefix(name, "DNS:"); is && slices.Contains(e.Missing, "IP:"+dns) {
			return text + " (no client accepts a DNS name for an IP address)"
		}
	}
	return text
}

// compareNames returns how the names of a certificate differ from the wanted ones, or nil.
func compareNames(cert *x509.Certificate, want Names) error {
	got, other := namesOf(cert)
	e := &NamesError{Missing: want.without(got).typed(), Additional: append(got.without(want).typed(), other...)}
	if len(e.Missing)+len(e.Additional) == 0 {
		return nil
	}
	return e
}

// namesOf returns the SANs of a certificate. other lists the kinds of the SANs that no plan has, such
// as otherName.
func namesOf(cert *x509.Certificate) (n Names, other []string) {
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			n.IPs = append(n.IPs, a.Unmap())
		}
	}
	n.DNS = slices.Clone(cert.DNSNames)
	for _, uri := range cert.URIs {
		n.URIs = append(n.URIs, uri.String())
	}
	n.Emails = slices.Clone(cert.EmailAddresses)
	return n, otherKinds(cert.Extensions)
}

// generalNameKinds are the kinds of SANs that crypto/x509 does not read, by their tags (RFC 5280, 4.2.1.6).
func generalNameKinds() map[int]string {
	return map[int]string{0: "otherName", 3: "x400Address", 4: "directoryName", 5: "ediPartyName", 8: "registeredID"}
}

// otherKinds returns the kinds of the SANs that crypto/x509 does not read.
func otherKinds(extensions []pkix.Extension) []string {
	var kinds []string
	for _, e := range extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(e.Value, &names); err != nil {
			continue // crypto/x509 has refused it
		}
		for _, name := range names {
			kind, other := generalNameKinds()[name.Tag]
			if name.Class != asn1.ClassContextSpecific || name.Tag > 8 {
				kind, other = strconv.Itoa(name.Tag), true // of no standard
			}
			if other && !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
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
		// A constraint has no wildcard: a domain covers everything below it (RFC 5280, 4.2.1.10).
		domain := cluster.Range{Domain: strings.ToLower(strings.TrimPrefix(dns, "*."))}
		if slices.Contains(c.permitted, domain) || slices.ContainsFunc(more, func(r cluster.Range) bool { return r.Domain != "" && isWithin(dns, r.Domain) }) {
			continue
		}
		c.permitted = append(c.permitted, domain)
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
	name, domain = strings.ToLower(name), strings.ToLower(domain)
	return name == domain || len(name) > len(domain) && name[len(name)-len(domain)-1:] == "."+domain
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func everyIPv4() *net.IPNet { return ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)) }
func everyIPv6() *net.IPNet { return ipNet(netip.PrefixFrom(netip.IPv6Unspecified(), 0)) }
