package nft

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// part is a part of a rule of iptables: the options before the first match, one match, or the target.
type part struct {
	name    string // of the match or target; empty before the first one
	target  bool
	goes    bool // by -g
	options []option
}

// option is one option of a part, such as "! --dport 22".
type option struct {
	name   string
	not    bool
	values []string
}

// value returns the only value of the option. ok is false if it has another number of them.
func (o option) value() (s string, ok bool) {
	if len(o.values) != 1 {
		return "", false
	}
	return o.values[0], true
}

// parseSavedRule reads a rule of iptables-save. What has another form than iptables writes is unknown as a
// whole.
func parseSavedRule(t *Table, line savedLine) Rule {
	r := Rule{Text: line.text}
	parts, ok := splitParts(line.words)
	if !ok {
		r.Statements = []Statement{{Unknown: line.text}}
		return r
	}
	for i, p := range parts {
		switch {
		case i == 0:
			r.Statements = append(r.Statements, parseHeaderOptions(t.Family, p)...)
		case p.target:
			r.extensions = append(r.extensions, p.kernelName())
			r.Statements = append(r.Statements, parseTarget(t, p))
		default:
			r.extensions = append(r.extensions, p.kernelName())
			r.Statements = append(r.Statements, parseSavedMatch(t.Family, p)...)
		}
	}
	return r
}

// kernelName returns the name that the kernel, and so nft, has for a match or target (iptables,
// extensions/libxt_state.c and libxt_CT.c, real_name).
func (p part) kernelName() string {
	switch p.name {
	case "state":
		return "conntrack"
	case "NOTRACK":
		return "CT"
	}
	return p.name
}

// splitParts splits a rule at its matches and its target, which comes last. ok is false if a word has no
// place in it.
func splitParts(words []savedWord) (parts []part, ok bool) {
	parts = []part{{}}
	not := false
	for i := 0; i < len(words); i++ {
		last := &parts[len(parts)-1]
		switch w := words[i]; {
		case w.quoted || w.text == "":
			return nil, false
		case w.text == "!":
			if not {
				return nil, false
			}
			not = true
			continue
		case w.text == "-m" || w.text == "-j" || w.text == "-g":
			if not || last.target || i+1 == len(words) {
				return nil, false
			}
			i++
			parts = append(parts, part{name: words[i].text, target: w.text != "-m", goes: w.text == "-g"})
		case w.text[0] == '-':
			o := option{name: w.text, not: not}
			for n := 0; i+1 < len(words) && (takesAnyValue(w.text, n) || words[i+1].quoted || isSavedValue(words[i+1].text)); n++ {
				i++
				o.values = append(o.values, words[i].text)
			}
			last.options = append(last.options, o)
		default:
			return nil, false
		}
		not = false
	}
	return parts, !not
}

// takesAnyValue reports whether an option has a value that may look like an option itself.
func takesAnyValue(name string, have int) bool {
	return have == 0 && slices.Contains([]string{"--comment", "--log-prefix", "--nflog-prefix", "--string", "--hex-string", "--name", "--hashlimit-name"}, name)
}

func isSavedValue(word string) bool { return word != "" && word != "!" && word[0] != '-' }

// parseHeaderOptions reads what a rule says of addresses, interfaces and the protocol.
func parseHeaderOptions(family string, p part) []Statement {
	var all []Statement
	for _, o := range p.options {
		value, ok := o.value()
		var s Statement
		if ok {
			switch o.name {
			case "-s":
				s, ok = matchNetwork(family, "saddr", value, o.not)
			case "-d":
				s, ok = matchNetwork(family, "daddr", value, o.not)
			case "-i", "-o":
				name := value
				if prefix, any := strings.CutSuffix(value, "+"); any {
					name = prefix + "*"
				}
				s = matchOperand(map[string]Field{"-i": "meta iifname", "-o": "meta oifname"}[o.name], Text(name), o.not)
			case "-p":
				s, ok = matchProtocol(value, o.not)
			default:
				ok = false
			}
		}
		if !ok {
			s = Statement{Perhaps: o.String()}
		}
		all = append(all, s)
	}
	return all
}

func matchOperand(f Field, o Operand, not bool) Statement {
	op := "=="
	if not {
		op = "!="
	}
	return Statement{Match: &Match{Fields: []Field{f}, Op: op, Operand: o}}
}

func matchNetwork(family, field, value string, not bool) (Statement, bool) {
	p, err := parseSavedNetwork(value)
	if err != nil || p.Addr().Is4() != (family == "ip") {
		return Statement{}, false
	}
	var o Operand
	o.Elements = []Element{{Key: []Range{prefixRange(p)}}}
	o.normalize()
	return matchOperand(Field(family+" "+field), o, not), true
}

// parseSavedNetwork reads an address with or without a length. A mask that is no length is an error.
func parseSavedNetwork(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Prefix(a.BitLen())
}

func matchProtocol(name string, not bool) (Statement, bool) {
	o := Text(name)
	if n, err := strconv.ParseUint(name, 10, 8); err == nil {
		if n == 6 {
			name = "tcp"
		}
		o = Text(name)
		if n != 6 {
			o = Operand{VerdictMap: VerdictMap{Elements: []Element{singleElement(Value{Number: n})}}}
		}
		if n == 0 {
			return Statement{}, false // every one, or hop-by-hop options
		}
	}
	return matchOperand("meta l4proto", o, not), name != "all"
}

// parsePorts reads ports and ranges of them, as in "2379:2381,6443".
func parsePorts(s string) (Operand, bool) {
	var o Operand
	for _, one := range strings.Split(s, ",") {
		first, last, isRange := strings.Cut(one, ":")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || from > to {
			return o, false
		}
		o.Elements = append(o.Elements, Element{Key: []Range{{Value{Number: from}, Value{Number: to}}}})
	}
	o.normalize()
	return o, true
}

// String returns the option as iptables-save writes it.
func (o option) String() string {
	words := append([]string{o.name}, o.values...)
	if o.not {
		words = append([]string{"!"}, words...)
	}
	return strings.Join(words, " ")
}

// String returns the part as iptables-save writes it, or nearly so.
func (p part) String() string {
	before := "-m "
	switch {
	case p.goes:
		before = "-g "
	case p.target:
		before = "-j "
	}
	words := []string{before + p.name}
	for _, o := range p.options {
		words = append(words, o.String())
	}
	return strings.Join(words, " ")
}

// parseTarget reads what a rule does to the packets that match.
func parseTarget(t *Table, p part) Statement {
	text := p.String()
	if t.chain(p.name) != nil {
		kind := "jump"
		if p.goes {
			kind = "goto"
		}
		return Statement{Verdict: &Verdict{Kind: kind, Chain: p.name}}
	}
	switch p.name {
	case "ACCEPT", "DROP", "RETURN":
		return Statement{Verdict: &Verdict{Kind: strings.ToLower(p.name)}}
	}
	switch targetEffect(p.name) {
	case extensionNeutral:
		if p.name == "NOTRACK" || slices.ContainsFunc(p.options, func(o option) bool { return o.name == "--notrack" }) {
			return Statement{Neutral: notrack}
		}
		return Statement{Neutral: text}
	case extensionRejects:
		return Statement{Verdict: &Verdict{Kind: "reject"}}
	case extensionTranslates:
		return Statement{NAT: parseSavedNAT(p, text)}
	case extensionUnknown:
	}
	return Statement{Unknown: text}
}

// parseSavedNAT reads the new address and port of a target that translates.
func parseSavedNAT(p part, text string) *NAT {
	n := extensionNAT(p.name, text)
	option := map[string]string{"DNAT": "--to-destination", "SNAT": "--to-source", "REDIRECT": "--to-ports"}[p.name]
	if option == "" {
		return n
	}
	known := &NAT{Kind: n.Kind, Text: text}
	for _, o := range p.options {
		switch o.name {
		case option:
			value, ok := o.value()
			if !ok || o.not || !known.read(value) {
				return n
			}
		case "--random", "--random-fully", "--persistent": // they choose nothing where there is one
		default:
			return n
		}
	}
	if p.name != "REDIRECT" && !known.Addr.IsValid() && known.Port == 0 {
		return n
	}
	return known
}

// read reads "ADDRESS", "ADDRESS:PORT" or ":PORT", or "PORT" of a redirect. It reports false for several
// of them.
func (n *NAT) read(value string) bool {
	address, port := value, ""
	switch at := strings.LastIndexByte(value, ':'); {
	case n.Kind == Redirect:
		address, port = "", value
	case strings.HasPrefix(value, "["):
		address, port, _ = strings.Cut(value[1:], "]")
		port = strings.TrimPrefix(port, ":")
	case at >= 0 && strings.Count(value, ":") == 1:
		address, port = value[:at], value[at+1:]
	}
	if address != "" {
		a, err := netip.ParseAddr(address)
		if err != nil || a.Zone() != "" {
			return false
		}
		n.Addr = a.Unmap()
	}
	if port == "" || n.Kind == SNAT { // the port of the client is one of many anyway
		return true
	}
	number, err := strconv.ParseUint(port, 10, 16)
	n.Port = uint16(number)
	return err == nil && number > 0
}
