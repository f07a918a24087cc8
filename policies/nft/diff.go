package nft

import (
	"fmt"
	"slices"
	"strconv"
)

// Difference is one way in which a live ruleset differs from the wanted one.
type Difference struct {
	What string // "table inet etcdsec", "set members4", "chain input", "chain input, rule 3"
	// Kind is missing, extra or changed.
	Kind       string
	Want, Live string // as nft writes it; empty of what is not there
}

// The kinds of differences.
const (
	Missing = "missing"
	Extra   = "extra"
	Changed = "changed"
)

// String returns the difference as one line.
func (d Difference) String() string {
	switch d.Kind {
	case Missing:
		return fmt.Sprintf("%s: missing %s", d.What, d.Want)
	case Extra:
		return fmt.Sprintf("%s: extra %s", d.What, d.Live)
	}
	return fmt.Sprintf("%s: is %s, want %s", d.What, d.Live, d.Want)
}

// Diff returns how the tables of want differ in live. Other tables of live do not matter: what one
// table drops stays dropped. Values of counters do not matter either.
func Diff(want, live *Ruleset) []Difference {
	var found []Difference
	for i := range want.Tables {
		w := &want.Tables[i]
		name := "table " + w.Family + " " + w.Name
		at := slices.IndexFunc(live.Tables, func(t Table) bool { return t.Family == w.Family && t.Name == w.Name })
		if at < 0 {
			found = append(found, Difference{What: name, Kind: Missing, Want: "the whole table"})
			continue
		}
		l := &live.Tables[at]
		if w.Dormant != l.Dormant || l.MaybeDormant {
			found = append(found, Difference{What: name, Kind: Changed, Want: describeState(w), Live: describeState(l)})
		}
		found = append(found, diffSets(w, l)...)
		found = append(found, diffChains(w, l)...)
	}
	return found
}

func describeState(t *Table) string {
	switch {
	case t.Dormant:
		return "dormant"
	case t.MaybeDormant:
		return "perhaps dormant (nft does not print its flags as JSON; nft list table shows them)"
	default:
		return "in force"
	}
}

func diffSets(want, live *Table) []Difference {
	var found []Difference
	for _, w := range want.Sets {
		what := "set " + w.Name
		l := live.set(w.Name)
		if l == nil {
			found = append(found, Difference{What: what, Kind: Missing, Want: "the whole set"})
			continue
		}
		if w.Type != l.Type || w.Map != l.Map || w.Interval != l.Interval || w.Open != l.Open {
			found = append(found, Difference{What: what, Kind: Changed, Want: w.kind(), Live: l.kind()})
			continue
		}
		wanted, there := w.canonicalElements(), l.canonicalElements()
		for _, e := range missingFrom(wanted, there) {
			found = append(found, Difference{What: what, Kind: Missing, Want: e})
		}
		for _, e := range missingFrom(there, wanted) {
			found = append(found, Difference{What: what, Kind: Extra, Live: e})
		}
	}
	for _, l := range live.Sets {
		if want.set(l.Name) == nil {
			found = append(found, Difference{What: "set " + l.Name, Kind: Extra, Live: "the whole set"})
		}
	}
	return found
}

func (s *Set) kind() string {
	kind := "of " + s.Type
	if s.Map {
		kind = "a map of " + s.Type
	}
	if s.Interval {
		kind += " with ranges"
	}
	if s.Open {
		kind += ", changing by itself"
	}
	return kind
}

// canonicalElements returns the elements as texts. Touching ranges of a set are joined.
func (s *Set) canonicalElements() []string {
	elements := s.Elements
	if s.Interval {
		elements = s.joinTouching()
	}
	texts := make([]string, 0, len(elements))
	for _, e := range elements {
		texts = append(texts, s.formatElement(e))
	}
	return texts
}

// joinTouching returns the elements and joins those that touch: the kernel lists a network that
// was given in two halves as two elements or as one.
func (m *VerdictMap) joinTouching() []Element {
	if !m.sorted || m.Map {
		return m.Elements
	}
	return joinElements(m.Elements, func(before, r Range) bool {
		return r.From.Compare(before.To) <= 0 || nextValue(before.To) == r.From
	})
}

// missingFrom returns the texts that others do not have.
func missingFrom(texts, others []string) []string {
	there := make(map[string]bool, len(others))
	for _, o := range others {
		there[o] = true
	}
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return there[s] })
}

func diffChains(want, live *Table) []Difference {
	var found []Difference
	for _, w := range want.Chains {
		what := "chain " + w.Name
		l := live.chain(w.Name)
		if l == nil {
			found = append(found, Difference{What: what, Kind: Missing, Want: "the whole chain"})
			continue
		}
		if w.Type != l.Type || w.Hook != l.Hook || w.Priority != l.Priority || w.Policy != l.Policy {
			found = append(found, Difference{What: what, Kind: Changed, Want: w.kind(), Live: l.kind()})
		}
		found = append(found, diffRules(what, w.Rules, l.Rules)...)
	}
	for _, l := range live.Chains {
		if want.chain(l.Name) == nil {
			found = append(found, Difference{What: "chain " + l.Name, Kind: Extra, Live: "the whole chain"})
		}
	}
	return found
}

func (c *Chain) kind() string {
	if c.Hook == "" {
		return "without a hook"
	}
	return strconv.Quote(c.hookText())
}

// diffRules compares rules by place, without the equal ones at both ends. So a rule that was
// inserted is one difference, not one for each rule below it.
func diffRules(what string, want, live []Rule) []Difference {
	w, l := ruleTexts(want), ruleTexts(live)
	start := 0
	for start < len(w) && start < len(l) && w[start] == l[start] {
		start++
	}
	for len(w) > start && len(l) > start && w[len(w)-1] == l[len(l)-1] {
		w, l = w[:len(w)-1], l[:len(l)-1]
	}
	var found []Difference
	for i := start; i < max(len(w), len(l)); i++ {
		d := Difference{What: fmt.Sprintf("%s, rule %d", what, i+1), Kind: Changed}
		if i < len(w) {
			d.Want = w[i]
		} else {
			d.Kind = Extra
		}
		if i < len(l) {
			d.Live = l[i]
		} else {
			d.Kind = Missing
		}
		found = append(found, d)
	}
	return found
}

// ruleTexts returns each rule as text, in a form in which equal rules have equal texts.
func ruleTexts(rules []Rule) []string {
	all := make([]string, 0, len(rules))
	for _, r := range rules {
		same := Rule{Comment: r.Comment}
		for _, statement := range r.Statements {
			if m := statement.Match; m != nil {
				match := *m
				match.Operand.Elements = m.Operand.joinTouching()
				statement.Match = &match
			}
			same.Statements = append(same.Statements, statement)
		}
		all = append(all, same.String())
	}
	return all
}
