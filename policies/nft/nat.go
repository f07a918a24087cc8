package nft

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

// NAT is a statement that gives a packet another address or port, and so the whole connection. It
// ends the chain.
type NAT struct {
	Kind NATKind
	Addr netip.Addr // the new one; not valid if the address stays, or Open is set
	Port uint16     // the new one; 0 if the port stays, or Open is set
	// Open is set if the new address or port is not known, such as one out of many.
	Open bool
	Text string // as nft lists it, if that is more than Kind, Addr and Port
}

// NATKind is a kind of NAT, as nft writes it.
type NATKind string

// The kinds. Masquerade is SNAT to an address of the host; Redirect is DNAT to the host itself. Tproxy
// hands a packet to a socket of the host, and does not change it.
const (
	DNAT       NATKind = "dnat"
	Redirect   NATKind = "redirect"
	SNAT       NATKind = "snat"
	Masquerade NATKind = "masquerade"
	Tproxy     NATKind = "tproxy"
)

// Destination reports whether it changes where a packet goes, and not where it comes from.
func (n *NAT) Destination() bool { return n.Kind == DNAT || n.Kind == Redirect || n.Kind == Tproxy }

// String returns the statement as nft writes it.
func (n *NAT) String() string {
	if n.Text != "" {
		return n.Text
	}
	to := ""
	switch {
	case n.Addr.IsValid() && n.Port != 0:
		to = " to " + netip.AddrPortFrom(n.Addr, n.Port).String()
	case n.Addr.IsValid():
		to = " to " + n.Addr.String()
	case n.Port != 0:
		to = fmt.Sprintf(" to :%d", n.Port)
	}
	return string(n.Kind) + to
}

// parseNAT reads a statement of NAT. ok is false for every other kind of statement.
func parseNAT(kind string, value json.RawMessage) (n NAT, ok bool) {
	switch k := NATKind(kind); k {
	case DNAT, Redirect, SNAT, Masquerade, Tproxy:
		n.Kind = k
	default:
		return n, false
	}
	var written struct{ Addr, Port, Flags json.RawMessage }
	if string(value) == "null" {
		return n, true
	}
	text := kind + " " + compactJSON(value)
	if json.Unmarshal(value, &written) != nil {
		n.Open, n.Text = true, text
		return n, true
	}
	if len(written.Flags) > 0 {
		n.Text = text // such as "random", which changes neither the address nor the port that it goes to
	}
	known := true
	if len(written.Addr) > 0 {
		v, ok := parseValue(written.Addr)
		n.Addr, known = v.Addr.Unmap(), ok && v.Addr.IsValid()
	}
	if len(written.Port) > 0 {
		v, ok := parseValue(written.Port)
		known = known && ok && !v.Addr.IsValid() && v.Text == "" && v.Number > 0 && v.Number <= 65535
		n.Port = uint16(v.Number & 0xffff)
	}
	if !known {
		n = NAT{Kind: n.Kind, Open: true, Text: text}
	}
	return n, true
}

// extensionNAT returns the NAT of a target of iptables, whose parameters nft does not list.
func extensionNAT(target, text string) *NAT {
	n := &NAT{Open: true, Text: text}
	switch target {
	case "SNAT":
		n.Kind = SNAT
	case "MASQUERADE":
		n.Kind, n.Open = Masquerade, false // an address of the host, with or without parameters
	case "REDIRECT":
		n.Kind = Redirect
	case "TPROXY":
		n.Kind = Tproxy
	default: // DNAT; NETMAP is either, and where it is said of the source nobody asks
		n.Kind = DNAT
	}
	return n
}
