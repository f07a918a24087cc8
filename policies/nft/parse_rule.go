package nft

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
)

func parseRule(o object) Rule {
	r := Rule{Comment: o.Comment}
	for _, raw := range o.Expr {
		r.Statements = append(r.Statements, parseStatement(raw))
		if kind, value, ok := parseSingle(raw); ok && kind == "xt" {
			r.extensions = append(r.extensions, extensionName(value))
		}
	}
	return r
}

// parseSingle returns the key and value of an object that has one member, which is how nft writes
// nearly everything. It reads the bytes of raw, which are valid JSON: a map for each object would
// be most of the work.
func parseSingle(raw json.RawMessage) (key string, value json.RawMessage, ok bool) {
	inner, ok := bytes.CutPrefix(bytes.TrimSpace(raw), []byte("{"))
	if !ok {
		return "", nil, false
	}
	inner, ok = bytes.CutPrefix(bytes.TrimSpace(inner[:len(inner)-1]), []byte(`"`))
	end := bytes.IndexByte(inner, '"')
	if !ok || end < 0 || bytes.IndexByte(inner[:end], '\\') >= 0 {
		return "", nil, false
	}
	key = string(inner[:end])
	value, ok = bytes.CutPrefix(bytes.TrimSpace(inner[end+1:]), []byte(":"))
	return key, bytes.TrimSpace(value), ok && isLast(value)
}

// isLast reports whether a value is the last one: no comma comes after it.
func isLast(value []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			return false
		}
	}
	return true
}

func parseStatement(raw json.RawMessage) Statement {
	kind, value, ok := parseSingle(raw)
	if !ok {
		return Statement{Unknown: compactJSON(raw)}
	}
	if v, ok := parseVerdict(raw); ok {
		return Statement{Verdict: &v}
	}
	if n, ok := parseNAT(kind, value); ok {
		return Statement{NAT: &n}
	}
	switch kind {
	case "xt":
		return parseExtension(raw, value)
	case "match":
		if m, ok := parseMatch(value); ok {
			return Statement{Match: &m}
		}
		return Statement{Perhaps: compactJSON(raw)}
	case "vmap":
		var written struct{ Key, Data json.RawMessage }
		if json.Unmarshal(value, &written) == nil {
			fields := parseFields(written.Key)
			if operand, ok := parseOperand(written.Data, true); ok {
				return Statement{Map: &MapStatement{Fields: fields, Operand: operand}}
			}
		}
	case "counter", "log":
		return Statement{Neutral: kind} // what it counted and how it logs is no difference
	case "mangle":
		return parseMangle(raw, value)
	// What is copied, goes to a faster path afterwards, or loses a TCP option goes on.
	case "notrack", "ct helper", "ct timeout", "ct expectation", "dup", "flow", "secmark", "reset":
		return Statement{Neutral: compactJSON(raw)}
	case "limit", "quota", "ct count", "connlimit", "last":
		return Statement{Perhaps: compactJSON(raw)}
	case "set", "map":
		// With a statement of its own, such as a limit, it goes on or not.
		if !bytes.Contains(value, []byte(`"stmt"`)) {
			return Statement{Neutral: compactJSON(raw)}
		}
		return Statement{Perhaps: compactJSON(raw)}
	}
	return Statement{Unknown: compactJSON(raw)}
}

func parseVerdict(raw json.RawMessage) (Verdict, bool) {
	kind, value, ok := parseSingle(raw)
	if !ok {
		return Verdict{}, false
	}
	switch kind {
	case "accept", "drop", "return", "continue", "reject":
		return Verdict{Kind: kind}, true
	case "jump", "goto":
		var to struct{ Target string }
		if json.Unmarshal(value, &to) != nil || to.Target == "" {
			return Verdict{}, false
		}
		return Verdict{Kind: kind, Chain: to.Target}, true
	}
	return Verdict{}, false
}

func parseMatch(raw json.RawMessage) (Match, bool) {
	var written struct {
		Op          string
		Left, Right json.RawMessage
	}
	if json.Unmarshal(raw, &written) != nil {
		return Match{}, false
	}
	fields := parseFields(written.Left)
	if len(fields) == 1 && isFlags(fields[0]) {
		if m, ok := parseFlagsMatch(fields[0], written.Op, written.Right); ok {
			return m, true
		}
		fields[0] = Field(compactJSON(written.Left))
	}
	switch written.Op {
	case "==", "!=", "<", ">", "<=", ">=", "in":
	default:
		return Match{}, false
	}
	operand, ok := parseOperand(written.Right, false)
	if b, err := strconv.ParseBool(string(written.Right)); err == nil && len(fields) == 1 && isReversePath(fields[0]) {
		text := pathMissing
		if b {
			text = pathExists
		}
		operand = Text(text)
	}
	return Match{Fields: fields, Op: written.Op, Operand: operand}, ok
}

// parseFields reads the left side of a match. A field that it does not know is kept as written;
// its value in a packet is then unknown too.
func parseFields(raw json.RawMessage) []Field {
	kind, value, ok := parseSingle(raw)
	if !ok {
		return []Field{Field(compactJSON(raw))}
	}
	if kind == "concat" {
		var parts []json.RawMessage
		if json.Unmarshal(value, &parts) == nil {
			var fields []Field
			for _, p := range parts {
				fields = append(fields, parseField(p))
			}
			return fields
		}
	}
	return []Field{parseField(raw)}
}

func parseField(raw json.RawMessage) Field {
	kind, value, ok := parseSingle(raw)
	if !ok {
		return Field(compactJSON(raw))
	}
	if kind == "&" {
		return parseMasked(value, Field(compactJSON(raw)))
	}
	// Of a field with more to it, such as the direction of ct, only the whole says which it is.
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil {
		return Field(compactJSON(raw))
	}
	var f struct {
		Protocol, Field, Key, Result string
		Flags                        json.RawMessage
	}
	if json.Unmarshal(value, &f) != nil {
		return Field(compactJSON(raw))
	}
	switch {
	case kind == "payload" && len(members) == 2 && f.Protocol != "" && f.Field != "":
		return Field(f.Protocol + " " + f.Field)
	case (kind == "meta" || kind == "ct") && len(members) == 1 && f.Key != "":
		return Field(kind + " " + f.Key)
	case kind == "fib" && (f.Result == "oif" || f.Result == "oifname") && hasWord(f.Flags, "saddr"):
		return Field("fib " + strings.Join(words(f.Flags), " . ") + " oif")
	case kind == "fib" && f.Result == "type" && !bytes.ContainsAny(f.Flags, ","):
		for _, of := range []string{"daddr", "saddr"} {
			if hasWord(f.Flags, of) {
				return Field("fib " + of + " type")
			}
		}
	}
	return Field(compactJSON(raw))
}

// parseMasked reads the flags of TCP under a mask. Everything else under a mask is kept as written.
func parseMasked(value json.RawMessage, written Field) Field {
	var sides []json.RawMessage
	if json.Unmarshal(value, &sides) != nil || len(sides) != 2 {
		return written
	}
	if mask, ok := parseFlags(sides[1]); ok && len(mask) > 0 && parseField(sides[0]) == flagsField {
		return Field(maskedFlags + strings.Join(mask, "|") + ")")
	}
	return written
}

// parseOperand is a name with "@", a set, a list of flags, or one value.
func parseOperand(raw json.RawMessage, isMap bool) (Operand, bool) {
	var o Operand
	o.Map = isMap
	var name string
	if json.Unmarshal(raw, &name) == nil {
		if set, ok := strings.CutPrefix(name, "@"); ok {
			o.Set = set
			return o, set != ""
		}
	}
	var elements []json.RawMessage
	if kind, value, ok := parseSingle(raw); ok && kind == "set" {
		if json.Unmarshal(value, &elements) != nil {
			return o, false
		}
	} else if json.Unmarshal(raw, &elements) != nil {
		elements = []json.RawMessage{raw}
	}
	for _, raw := range elements {
		e, ok := parseElement(raw, isMap)
		if !ok {
			return o, false
		}
		o.Elements = append(o.Elements, e)
	}
	o.normalize()
	return o, len(elements) > 0
}

func parseElement(raw json.RawMessage, isMap bool) (Element, bool) {
	var e Element
	if isMap {
		var pair []json.RawMessage
		if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 {
			return e, false
		}
		var ok bool
		if e.Verdict, ok = parseVerdict(pair[1]); !ok {
			return e, false
		}
		raw = pair[0]
	}
	// An element with a counter, a comment or a time-out is written with its value inside.
	kind, value, ok := parseSingle(raw)
	if ok && kind == "elem" {
		var inner struct{ Val json.RawMessage }
		if json.Unmarshal(value, &inner) != nil || inner.Val == nil {
			return e, false
		}
		raw = inner.Val
		kind, value, ok = parseSingle(raw)
	}
	parts := []json.RawMessage{raw}
	if ok && kind == "concat" && json.Unmarshal(value, &parts) != nil {
		return e, false
	}
	for _, p := range parts {
		r, ok := parseRange(p)
		if !ok {
			return e, false
		}
		e.Key = append(e.Key, r)
	}
	return e, len(e.Key) > 0
}

func parseRange(raw json.RawMessage) (Range, bool) {
	kind, value, ok := parseSingle(raw)
	switch {
	case ok && kind == "prefix":
		var p struct {
			Addr netip.Addr
			Len  int
		}
		if json.Unmarshal(value, &p) != nil || !p.Addr.IsValid() || p.Addr.Zone() != "" || p.Len < 0 || p.Len > p.Addr.BitLen() {
			return Range{}, false
		}
		return prefixRange(netip.PrefixFrom(p.Addr, p.Len)), true
	case ok && kind == "range":
		var ends []json.RawMessage
		if json.Unmarshal(value, &ends) != nil || len(ends) != 2 {
			return Range{}, false
		}
		from, ok1 := parseValue(ends[0])
		to, ok2 := parseValue(ends[1])
		return Range{from, to}, ok1 && ok2 && from.sameKind(to) && from.Compare(to) <= 0
	}
	v, ok := parseValue(raw)
	return Range{v, v}, ok
}

func parseValue(raw json.RawMessage) (Value, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			return Value{Addr: a}, true
		}
		return Value{Text: text}, text != ""
	}
	if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		return Value{Number: n}, true
	}
	if b, err := strconv.ParseBool(string(raw)); err == nil {
		return Value{Text: strconv.FormatBool(b)}, true
	}
	return Value{}, false
}
