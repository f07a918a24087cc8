package nft

import (
	"encoding/json"
	"fmt"
	"slices"
)

// extensionEffect tells what an extension of iptables does to a packet.
type extensionEffect int

const (
	extensionUnknown extensionEffect = iota
	extensionNeutral
	extensionRejects
	extensionTranslates
)

// targetEffect returns what a target does. The neutral ones return XT_CONTINUE (Linux,
// net/netfilter/xt_*.c).
func targetEffect(name string) extensionEffect {
	switch name {
	case "AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED", "LOG", "MARK",
		"NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL":
		return extensionNeutral
	case "REJECT":
		return extensionRejects
	case "DNAT", "MASQUERADE", "NETMAP", "REDIRECT", "SNAT", "TPROXY":
		return extensionTranslates
	}
	return extensionUnknown
}

// parseExtension reads an extension of iptables, of which nft lists the name and none of the
// parameters. A match goes on or not; a comment always does.
func parseExtension(raw, value json.RawMessage) Statement {
	var x struct{ Type, Name string }
	if json.Unmarshal(value, &x) != nil {
		return Statement{Unknown: compactJSON(raw)}
	}
	text := fmt.Sprintf("xt %s %q", x.Type, x.Name)
	switch x.Type {
	case "match":
		if x.Name == "comment" {
			return Statement{Neutral: text}
		}
		return Statement{Perhaps: text}
	case "target":
		switch targetEffect(x.Name) {
		case extensionNeutral:
			return Statement{Neutral: text}
		case extensionRejects:
			return Statement{Verdict: &Verdict{Kind: "reject"}}
		case extensionTranslates:
			return Statement{NAT: extensionNAT(x.Name, text)}
		case extensionUnknown:
			return Statement{Unknown: text}
		}
	}
	return Statement{Unknown: compactJSON(raw)}
}

// notrack is the statement that takes a packet out of connection tracking.
const notrack = `{"notrack":null}`

// untracks reports whether a neutral statement may take a packet out of connection tracking.
func untracks(neutral string) bool {
	switch neutral {
	case notrack, `xt target "NOTRACK"`, `xt target "CT"`:
		return true
	}
	return false
}

// ChecksReversePath reports whether a rule asks whether a route leads back to the sender.
func (r *Ruleset) ChecksReversePath() bool {
	for _, t := range r.Tables {
		for _, c := range t.Chains {
			for _, rule := range c.Rules {
				if slices.ContainsFunc(rule.Statements, func(s Statement) bool { return s.Match != nil && slices.ContainsFunc(s.Match.Fields, isReversePath) }) {
					return true
				}
			}
		}
	}
	return false
}
