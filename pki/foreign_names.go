package pki

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// foreignNames sorts the names in the certificates of members that another tool made.
type foreignNames struct {
	members []*Foreign
	count   map[string]int // of the members that have a name, by its kind and text
	all     []string       // the names that every one of several members has, such as a load balancer's
}

// memberNaming holds what the spec says about the names of one member.
type memberNaming struct {
	addresses []string // of this member alone
	extra     []string // names that are no addresses, or that other members have too
	left      []leftOutName
}

// leftOutName is a name that the spec cannot have.
type leftOutName struct{ name, why string }

func newForeignNames(members []*Foreign) foreignNames {
	f := foreignNames{members: members, count: map[string]int{}}
	for _, p := range members {
		for _, name := range memberSANs(p).without(loopback()).typed() {
			f.count[name]++
		}
	}
	if len(members) > 1 {
		for _, name := range memberSANs(members[0]).without(loopback()).typed() {
			if kind, text, _ := strings.Cut(name, ":"); f.count[name] == len(members) && leftOut(kind, text) == "" {
				f.all = append(f.all, text)
			}
		}
	}
	return f
}

// memberSANs returns the names of a member's server and peer certificates.
func memberSANs(p *Foreign) Names {
	peer, _ := namesOf(p.Peer[0])
	server, _ := namesOf(p.Server[0])
	return peer.union(server)
}

// leftOut returns why the spec cannot have a name; empty if it can.
func leftOut(kind, name string) string {
	parsed, err := cluster.ParseName(name)
	switch {
	case kind == "DNS" && parsed.IP.IsValid():
		return "it is an IP address written as a DNS name, which no client accepts"
	case err != nil:
		return err.Error()
	case kind == "DNS" && parsed.DNS == "" || kind == "IP" && !parsed.IP.IsValid() || kind == "URI" && parsed.URI == "" || kind == "email" && parsed.Email == "":
		return "its kind and its text do not match"
	}
	return ""
}

// of returns the naming of a member. IP addresses come first, because a member advertises the first
// address.
func (f foreignNames) of(p *Foreign) memberNaming {
	var own memberNaming
	for _, typed := range memberSANs(p).without(loopback()).typed() {
		kind, name, _ := strings.Cut(typed, ":")
		a, addressErr := cluster.ParseAddress(name)
		why := leftOut(kind, name)
		switch {
		case why != "":
			own.left = append(own.left, leftOutName{typed, why})
			if _, err := netip.ParseAddr(name); err == nil && f.count[typed] == 1 && addressErr == nil && !slices.Contains(own.addresses, a.String()) {
				own.addresses = append(own.addresses, a.String())
			}
		case f.count[typed] == 1 && addressErr == nil:
			if !slices.Contains(own.addresses, a.String()) {
				own.addresses = append(own.addresses, a.String())
			}
		case slices.Contains(f.all, name):
		default:
			own.extra = append(own.extra, name)
		}
	}
	if len(own.addresses) == 0 {
		own.addresses = f.fallback(p, own.extra)
	}
	return own
}

// fallback returns the address of a member whose certificates name none that is its own.
func (f foreignNames) fallback(p *Foreign, extra []string) []string {
	for _, name := range extra {
		// As a certificate of another tool may write it.
		plain := strings.ToLower(strings.TrimSuffix(name, "."))
		if a, err := cluster.ParseAddress(plain); err == nil && a.DNS != "" && f.count["DNS:"+name] == 1 {
			return []string{plain}
		}
	}
	if !memberSANs(p).without(loopback()).isEmpty() && len(f.members) > 1 {
		return nil // all its names belong to other members too
	}
	for _, ip := range memberSANs(p).IPs {
		if ip != netip.IPv6Loopback() {
			return []string{ip.String()} // a cluster on one machine
		}
	}
	return nil
}

// plainWord matches text that YAML reads as a string without quotes, except for its keywords.
var plainWord = regexp.MustCompile(`^([a-z][a-z0-9.-]*|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)$`)

// yamlWords returns strings as YAML, with quotes where they need them.
func yamlWords(words []string) []string {
	keywords := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	quoted := make([]string, 0, len(words))
	for _, word := range words {
		if !plainWord.MatchString(word) || slices.Contains(keywords, word) {
			word = fmt.Sprintf("%q", word)
		}
		quoted = append(quoted, word)
	}
	return quoted
}

// allows reports whether a certificate may be used for a purpose. Without any extended key usage it
// may be used for all (RFC 5280, 4.2.1.12).
func allows(cert *x509.Certificate, eku x509.ExtKeyUsage) bool {
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(cert.ExtKeyUsage, eku) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}
