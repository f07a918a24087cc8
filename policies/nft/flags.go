package nft

import (
	"encoding/json"
	"slices"
	"strings"
)

const flagsField Field = "tcp flags"

// maskedFlags begins a field that is the flags under a mask.
const maskedFlags = "tcp flags & ("

// isFlags reports whether a field is the flags of TCP, all or under a mask.
func isFlags(f Field) bool { return f == flagsField || strings.HasPrefix(string(f), maskedFlags) }

// parseFlags reads flags of TCP: one, a list of them, or the number 0 for none.
func parseFlags(raw json.RawMessage) ([]string, bool) {
	if list := words(raw); len(list) > 0 {
		return list, true
	}
	if string(raw) == "0" {
		return nil, true
	}
	// Newer releases of nft write "fin | syn" as they do other operations with bits.
	kind, value, ok := parseSingle(raw)
	var sides []json.RawMessage
	if !ok || kind != "|" || json.Unmarshal(value, &sides) != nil || len(sides) == 0 {
		return nil, false
	}
	var all []string
	for _, side := range sides {
		list, ok := parseFlags(side)
		if !ok {
			return nil, false
		}
		all = append(all, list...)
	}
	return all, true
}

// parseFlagsMatch reads a match of the flags of TCP, of which the operand is the flags together. ok is
// false if it is none, such as a set of them.
func parseFlagsMatch(field Field, op string, right json.RawMessage) (m Match, ok bool) {
	list, ok := parseFlags(right)
	if !ok || !slices.Contains([]string{"==", "!=", "in", "!"}, op) {
		return m, false
	}
	m.Fields, m.Op = []Field{field}, op
	for _, flag := range list {
		m.Operand.Elements = append(m.Operand.Elements, singleElement(Value{Text: flag}))
	}
	return m, true
}

// flagsOf returns the flags that the packets of a stage have. A connection that is reset is no longer
// one, so RST is not among them.
func flagsOf(s Stage) [][]string {
	later := [][]string{{"ack"}, {"ack", "psh"}, {"ack", "fin"}, {"ack", "fin", "psh"}}
	switch s {
	case Opens:
		return [][]string{{"syn"}}
	case Answers:
		return append(later, []string{"ack", "syn"})
	case Goes:
	}
	return later
}

// matchFlags matches the flags of TCP with those that the packets of the stage have. It is perhaps if
// only some of these match.
func (e *evaluation) matchFlags(m *Match) truth {
	var want []string
	for _, element := range m.Operand.Elements {
		want = append(want, element.Key[0].From.Text)
	}
	var mask []string
	if text, masked := strings.CutPrefix(string(m.Fields[0]), maskedFlags); masked {
		mask = strings.Split(strings.TrimSuffix(text, ")"), "|")
	}
	for _, flag := range slices.Concat(want, mask) {
		if !slices.Contains([]string{"fin", "syn", "rst", "psh", "ack", "urg"}, flag) {
			return perhaps // those of ECN may be there or not
		}
	}
	matched, all := 0, flagsOf(e.packet.Stage)
	for _, have := range all {
		if mask != nil {
			have = slices.DeleteFunc(have, func(flag string) bool { return !slices.Contains(mask, flag) })
		}
		common := slices.ContainsFunc(have, func(flag string) bool { return slices.Contains(want, flag) })
		same := len(have) == len(want) && !slices.ContainsFunc(have, func(flag string) bool { return !slices.Contains(want, flag) })
		if map[string]bool{"in": common, "!": !common, "==": same, "!=": !same}[m.Op] {
			matched++
		}
	}
	switch {
	case matched == 0 && (m.Op != "==" || mask != nil):
		return no
	case matched == len(all) && (m.Op != "!=" || mask != nil):
		return yes
	}
	return perhaps // without a mask, the flags of ECN count
}
