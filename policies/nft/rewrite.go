package nft

import (
	"encoding/json"
	"slices"
	"strings"
)

// Rewrite is a statement that writes another address or port into a packet: NAT without state.
type Rewrite struct {
	Protocol string // whose header it writes into
	Text     string
}

// parseMangle reads a statement that writes into a packet, or sets a mark.
func parseMangle(raw, value json.RawMessage) Statement {
	var written struct {
		Key struct {
			Payload struct{ Base, Protocol, Field string }
		}
	}
	text := compactJSON(raw)
	if json.Unmarshal(value, &written) != nil {
		return Statement{Unknown: text}
	}
	p := written.Key.Payload
	if p.Base != "" || // some bytes, whatever these are
		slices.Contains([]string{"ip", "ip6"}, p.Protocol) && strings.HasSuffix(p.Field, "addr") ||
		slices.Contains([]string{"tcp", "th"}, p.Protocol) && strings.HasSuffix(p.Field, "port") {
		return Statement{Rewrite: &Rewrite{p.Protocol, text}}
	}
	return Statement{Neutral: text}
}

// meets reports whether a packet has the header that a rewrite is about.
func (r *Rewrite) meets(p *Packet) bool {
	switch r.Protocol {
	case "ip":
		return p.Src.Is4()
	case "ip6":
		return !p.Src.Is4()
	}
	return true
}
