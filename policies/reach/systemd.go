package reach

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/etcdsec/etcdsec/policies"
)

// ParseDropIn reads the address lists of a unit file or a drop-in: IPAddressAllow and
// IPAddressDeny of [Service] (systemd.resource-control(5)). An empty value empties the list.
func ParseDropIn(file string, data []byte) (policies.SystemdDropIn, error) {
	d := policies.SystemdDropIn{Text: data}
	section, pending := "", ""
	for n, line := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue // also within a value that goes on
		}
		if text = pending + text; strings.HasSuffix(text, `\`) {
			pending = strings.TrimSuffix(text, `\`) + " "
			continue
		}
		pending = ""
		if text[0] == '[' {
			section = text
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return d, fmt.Errorf("%s:%d: %q is neither a section nor KEY=VALUE", file, n+1, text)
		}
		if section != "[Service]" {
			continue
		}
		list := &d.Deny
		switch strings.TrimSpace(key) {
		case "IPAddressDeny":
		case "IPAddressAllow":
			list = &d.Allow
		default:
			continue
		}
		if strings.TrimSpace(value) == "" {
			*list = nil
			continue
		}
		for word := range strings.FieldsSeq(value) {
			prefixes, err := unitPrefixes(word)
			if err != nil {
				return d, fmt.Errorf("%s:%d: %s: %w", file, n+1, strings.TrimSpace(key), err)
			}
			*list = append(*list, prefixes...)
		}
	}
	if pending != "" {
		return d, fmt.Errorf("%s: the last line goes on and nothing follows", file)
	}
	return d, nil
}

// unitPrefixes are what a word of the lists stands for.
func unitPrefixes(word string) ([]netip.Prefix, error) {
	of := func(list ...string) ([]netip.Prefix, error) { return parsePrefixes(list) }
	switch word {
	case "any":
		return of("0.0.0.0/0", "::/0")
	case "localhost":
		return of("127.0.0.0/8", "::1/128")
	case "link-local":
		return of("169.254.0.0/16", "fe80::/64")
	case "multicast":
		return of("224.0.0.0/4", "ff00::/8")
	}
	p, err := of(word)
	if err != nil {
		return nil, fmt.Errorf("%q is neither an address, a network, any, localhost, link-local nor multicast", word)
	}
	return p, nil
}

// unitVerdict judges by the unit of a member what it gets from an address or sends to it. The
// lists say nothing about ports, and the one that allows wins over the one that denies.
func (e *evaluator) unitVerdict(member string, other netip.Addr) verdict {
	name := ""
	var allowed, denied []netip.Prefix
	for _, u := range e.filters.Units {
		if u.Member == "" || u.Member == member {
			allowed, denied = append(allowed, u.Allow...), append(denied, u.Deny...)
			name = u.Unit
		}
	}
	if name == "" {
		name = "etcd.service"
	}
	by := func(setting string, p netip.Prefix) *Decision {
		return &Decision{Kind: ByRule, Engine: Systemd, Policy: name, Rule: setting + "=" + p.String(), Member: member}
	}
	for _, p := range allowed {
		if p.Contains(other) {
			return allow(by("IPAddressAllow", p))
		}
	}
	for _, p := range denied {
		if p.Contains(other) {
			return deny(by("IPAddressDeny", p))
		}
	}
	return verdict{allowed: true}
}
