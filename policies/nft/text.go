package nft

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Text returns the ruleset for `nft -f`: one transaction, which replaces its tables and touches no
// other. Equal rulesets give equal bytes.
func (r *Ruleset) Text() []byte {
	var b bytes.Buffer
	for _, t := range r.Tables {
		writeComment(&b, "", t.Why)
		// A table that is not there cannot be deleted, so it is made first.
		fmt.Fprintf(&b, "table %s %s\ndelete table %[1]s %[2]s\n\n", t.Family, t.Name)
		t.write(&b)
	}
	return b.Bytes()
}

func (t *Table) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "table %s %s {\n", t.Family, t.Name)
	if t.Dormant {
		b.WriteString("\tflags dormant\n\n")
	}
	for _, s := range t.Sets {
		writeComment(b, "\t", s.Why)
		kind, maps := "set", ""
		if s.Map {
			kind, maps = "map", " : verdict"
		}
		fmt.Fprintf(b, "\t%s %s {\n\t\ttype %s%s\n", kind, s.Name, s.Type, maps)
		if s.Interval {
			b.WriteString("\t\tflags interval\n")
		}
		if len(s.Elements) > 0 {
			b.WriteString("\t\telements = {\n")
			for _, e := range s.Elements {
				fmt.Fprintf(b, "\t\t\t%s,\n", s.formatElement(e))
			}
			b.WriteString("\t\t}\n")
		}
		b.WriteString("\t}\n\n")
	}
	for i, c := range t.Chains {
		if i > 0 {
			b.WriteString("\n")
		}
		writeComment(b, "\t", c.Why)
		fmt.Fprintf(b, "\tchain %s {\n", c.Name)
		if c.Hook != "" {
			fmt.Fprintf(b, "\t\t%s\n", c.hookText())
		}
		for _, r := range c.Rules {
			fmt.Fprintf(b, "\t\t%s\n", r)
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
}

func writeComment(b *bytes.Buffer, indent string, lines []string) {
	for _, l := range lines {
		b.WriteString(strings.TrimRight(indent+"# "+l, " ") + "\n")
	}
}

// hookText returns the line that makes a chain a base chain.
func (c *Chain) hookText() string {
	devices := ""
	if len(c.Devices) > 0 {
		devices = fmt.Sprintf(" devices = { %s }", strings.Join(c.Devices, ", "))
	}
	return fmt.Sprintf("type %s hook %s%s priority %d; policy %s;", c.Type, c.Hook, devices, c.Priority, c.Policy)
}

// String returns the rule as nft writes it, or nearly so if it is not understood.
func (r Rule) String() string {
	if r.Text != "" {
		return r.Text
	}
	var words []string
	for _, s := range r.Statements {
		words = append(words, s.String())
	}
	if r.Comment != "" {
		words = append(words, "comment "+strconv.Quote(r.Comment))
	}
	return strings.Join(words, " ")
}

// String returns the statement as nft writes it.
func (s Statement) String() string {
	switch {
	case s.Match != nil:
		op := ""
		if s.Match.Op != "==" && s.Match.Op != "in" {
			op = s.Match.Op + " "
		}
		return join(s.Match.Fields) + " " + op + s.Match.Operand.String()
	case s.Map != nil:
		return join(s.Map.Fields) + " vmap " + s.Map.Operand.String()
	case s.Verdict != nil:
		return s.Verdict.String()
	case s.NAT != nil:
		return s.NAT.String()
	case s.Rewrite != nil:
		return s.Rewrite.Text
	}
	return s.Neutral + s.Perhaps + s.Unknown
}

func join(fields []Field) string {
	var words []string
	for _, f := range fields {
		words = append(words, f.String())
	}
	return strings.Join(words, " . ")
}

// String leaves out "meta" where nft does.
func (f Field) String() string {
	short, ok := strings.CutPrefix(string(f), "meta ")
	if ok && slices.Contains([]string{"iif", "iifname", "oif", "oifname", "mark"}, short) {
		return short
	}
	return string(f)
}

// String is one value as it is, and others as an anonymous set.
func (o Operand) String() string {
	if o.Set != "" {
		return "@" + o.Set
	}
	if len(o.Elements) == 1 && !o.Map {
		return o.formatElement(o.Elements[0])
	}
	var words []string
	for _, e := range o.Elements {
		words = append(words, o.formatElement(e))
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

func (m *VerdictMap) formatElement(e Element) string {
	var parts []string
	for _, r := range e.Key {
		parts = append(parts, r.String())
	}
	text := strings.Join(parts, " . ")
	if m.Map {
		text += " : " + e.Verdict.String()
	}
	return text
}

// String is a value, a network, or a range.
func (r Range) String() string {
	if r.From == r.To {
		return r.From.String()
	}
	if p, ok := r.prefix(); ok {
		return p.String()
	}
	return r.From.String() + "-" + r.To.String()
}

// String quotes what is no word of nft's, such as the name of an interface.
func (v Value) String() string {
	switch {
	case v.Addr.IsValid():
		return v.Addr.String()
	case v.Text == "":
		return strconv.FormatUint(v.Number, 10)
	case strings.Trim(v.Text, "abcdefghijklmnopqrstuvwxyz") != "" || v.Text == "lo":
		return strconv.Quote(v.Text)
	}
	return v.Text
}
