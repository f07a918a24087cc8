package cluster

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Name is a subject alternative name (SAN) that a certificate has in addition to the addresses of its
// member. Exactly one of its fields is set.
type Name struct {
	IP    netip.Addr // never an IPv4-mapped IPv6 address
	DNS   string     // as written; its first part may be a wildcard, "*"
	URI   string
	Email string
}

func (n Name) String() string {
	if n.IP.IsValid() {
		return n.IP.String()
	}
	return n.DNS + n.URI + n.Email
}

// ParseName parses a name of spec.etcd.extraNames. It accepts more than [ParseAddress], because nobody
// connects to these names as they are written: DNS names with capitals, underscores, a trailing dot or a
// wildcard, URIs and mail addresses. Certificates of other tools have such names.
func ParseName(s string) (Name, error) {
	switch {
	case s == "":
		return Name{}, errors.New("a name is empty")
	case strings.TrimSpace(s) != s:
		return Name{}, fmt.Errorf("%q has white space around it", s)
	case strings.Contains(s, "://"), strings.HasPrefix(s, "urn:"):
		return parseURIName(s)
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" {
			return Name{}, fmt.Errorf("%q has a zone, which no certificate can hold", s)
		}
		return Name{IP: ip.Unmap()}, nil
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return Name{}, fmt.Errorf("%q is a network; a certificate names single addresses", s)
	}
	if host, port, ok := cutPort(s); ok {
		return Name{}, fmt.Errorf("%q has port %s; a certificate names only the host, %q", s, port, host)
	}
	if strings.Contains(s, "@") {
		if a, err := mail.ParseAddress(s); err != nil || a.Address != s || !isASCII(s) {
			return Name{}, fmt.Errorf("%q is not a mail address", s)
		}
		return Name{Email: s}, nil
	}
	if err := checkSANName(s); err != nil {
		return Name{}, err
	}
	return Name{DNS: s}, nil
}

func parseURIName(s string) (Name, error) {
	u, err := url.ParseRequestURI(s)
	switch {
	case err != nil || u.Host+u.Opaque == "" || !isASCII(s) || u.String() != s:
		return Name{}, fmt.Errorf("%q is not a URI that a certificate can hold, such as spiffe://cluster.local/etcd", s)
	case u.Scheme == "http" || u.Scheme == "https":
		return Name{}, fmt.Errorf("%q is a URL; clients compare only its host, %q", s, u.Hostname())
	}
	return Name{URI: s}, nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

var sanLabel = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// checkSANName returns an error for text that no certificate of etcd should have as a DNS name. A
// wildcard must be the whole first part, because Go's crypto/x509, which etcd and its clients use,
// accepts no other (RFC 6125, 6.4.3).
func checkSANName(s string) error {
	plain := strings.TrimSuffix(s, ".")
	if len(plain) > 253 {
		return fmt.Errorf("%q… is longer than a DNS name may be (253)", s[:40])
	}
	labels := strings.Split(plain, ".")
	if labels[0] == "*" && len(labels) == 1 {
		return fmt.Errorf("%q covers every host of the search domain; give the domain, such as *.etcd.example.internal", s)
	}
	for i, label := range labels {
		switch {
		case i == 0 && label == "*":
		case strings.Contains(label, "*"):
			return fmt.Errorf("%q: a wildcard must be the whole first part, such as *.etcd.example.internal; etcd's clients accept no other", s)
		case !sanLabel.MatchString(label):
			return fmt.Errorf("%q is neither an IP address nor a DNS name", s)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return fmt.Errorf("%q is neither an IP address nor a DNS name: its last part is a number", s)
	}
	return nil
}

// extraNames checks a list of names for certificates.
func (v *validator) extraNames(field string, given []string, hierarchy Hierarchy) []Name {
	var names []Name
	seen := map[Name]bool{}
	for i, s := range given {
		at := fmt.Sprintf("%s[%d]", field, i)
		name, err := ParseName(s)
		switch {
		case err != nil:
			v.fault(at, "%v", err)
			continue
		case seen[name]:
			v.fault(at, "%s is given twice", name)
		case strings.HasSuffix(name.DNS, ".") && (hierarchy == Issuing || hierarchy == ""):
			// crypto/x509 cannot compare such a name with the name constraints of an issuing CA.
			v.fault(at, "%q ends in a dot, which certificates below an issuing CA cannot have; write %q: it is valid for both", s, strings.TrimSuffix(s, "."))
		}
		seen[name] = true
		names = append(names, name)
	}
	return names
}

// warnExtraNames returns a warning for each extra name that is the address of another member.
func warnExtraNames(e Etcd) []string {
	var w []string
	warn := func(field string, names []Name, own string) {
		for i, n := range names {
			for _, m := range e.Members {
				for _, a := range m.Addresses {
					if m.Name != own && (n.IP.IsValid() && n.IP == a.IP || n.DNS != "" && strings.EqualFold(strings.TrimSuffix(n.DNS, "."), a.DNS)) {
						w = append(w, fmt.Sprintf("%s[%d]: %s is the address of %s: other members' certificates are then valid for it too", field, i, n, m.Name))
					}
				}
			}
		}
	}
	if len(e.Members) > 1 {
		warn("spec.etcd.extraNames", e.ExtraNames, "")
	}
	for i, m := range e.Members {
		warn(fmt.Sprintf("spec.etcd.members[%d].extraNames", i), m.ExtraNames, m.Name)
	}
	return w
}
