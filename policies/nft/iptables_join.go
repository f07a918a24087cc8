package nft

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// MismatchError means that iptables-save and nft do not list the same rules of a table: they were run at
// different times, or on different hosts.
type MismatchError struct {
	Table string // "ip filter"
	Chain string // empty for the table itself
}

func (e *MismatchError) Error() string {
	where := "table " + e.Table
	if e.Chain != "" {
		where += ", chain " + e.Chain
	}
	return where + ": iptables-save and nft list different rules; run both on one host at the same time"
}

// Join completes a ruleset with what iptables-save prints on the same host. A rule that uses an extension
// of iptables is then the one of iptables-save. The rules of iptables-legacy, which nft does not list,
// are added. It changes nothing if it returns an error, which is a MismatchError.
func (r *Ruleset) Join(saved ...*Iptables) error {
	joined := Ruleset{Tables: slices.Clone(r.Tables), LegacyUnread: slices.Clone(r.LegacyUnread)}
	for _, s := range saved {
		for _, t := range s.Tables {
			if err := joined.joinTable(t, s.Keeper); err != nil {
				return err
			}
		}
	}
	for _, s := range saved {
		known := slices.ContainsFunc(saved, func(other *Iptables) bool { return other.Family == s.Family && other.Keeper == LegacyTables })
		if s.LegacyElsewhere && !known {
			joined.LegacyUnread = append(joined.LegacyUnread, s.Family)
		}
	}
	*r = joined
	return nil
}

func (r *Ruleset) joinTable(saved Table, keeper IptablesKeeper) error {
	at := slices.IndexFunc(r.Tables, func(t Table) bool { return t.Family == saved.Family && t.Name == saved.Name })
	switch {
	case keeper == LegacyTables, keeper == UnknownKeeper && at < 0:
		if at >= 0 {
			saved.Name += " of iptables-legacy"
		}
		r.Tables = append(r.Tables, saved)
		return nil
	case at < 0:
		return &MismatchError{Table: saved.Family + " " + saved.Name}
	}
	completed, err := r.Tables[at].completedBy(&saved)
	if err == nil {
		r.Tables[at] = completed
	}
	return err
}

// completedBy returns the table with the rules of iptables-save in place of those that use extensions.
// Chains that were not listed stay so.
func (t *Table) completedBy(saved *Table) (Table, error) {
	completed := *t
	completed.Chains = slices.Clone(t.Chains)
	name := t.Family + " " + t.Name
	for _, c := range saved.Chains {
		// iptables-save prints hooked chains of its tables that are not there, as if they accepted.
		empty := c.Hook != "" && c.Policy == "accept" && len(c.Rules) == 0
		if t.chain(c.Name) == nil && !empty {
			return completed, &MismatchError{name, c.Name}
		}
	}
	for i := range completed.Chains {
		c := &completed.Chains[i]
		s := saved.chain(c.Name)
		if s == nil || !c.Unlisted && len(s.Rules) != len(c.Rules) {
			return completed, &MismatchError{name, c.Name}
		}
		if c.Unlisted {
			continue
		}
		c.Rules = slices.Clone(c.Rules)
		for j := range c.Rules {
			if len(c.Rules[j].extensions) == 0 {
				continue
			}
			if !c.Rules[j].mayBe(&s.Rules[j]) {
				return completed, &MismatchError{name, c.Name}
			}
			c.Rules[j] = s.Rules[j]
		}
	}
	return completed, nil
}

// mayBe reports whether a rule that nft lists may be one of iptables-save, as far as nft lists it: it has
// its extensions in this order, its verdict, its addresses and its ports.
func (r *Rule) mayBe(saved *Rule) bool {
	rest := saved.extensions
	for _, name := range r.extensions {
		at := slices.Index(rest, name)
		if name == "" {
			at = 0 // nft does not tell which
		}
		if at < 0 || len(rest) == 0 {
			return false
		}
		rest = rest[at+1:]
	}
	if r.verdict() != saved.verdict() {
		return false
	}
	for _, s := range r.Statements {
		if s.Match == nil || len(s.Match.Fields) != 1 || s.Match.Op != "==" && s.Match.Op != "!=" {
			continue // "<=" is a range in iptables
		}
		_, field, _ := strings.Cut(string(s.Match.Fields[0]), " ")
		if field == "saddr" || field == "daddr" || field == "dport" {
			if !slices.ContainsFunc(saved.Statements, func(o Statement) bool { return o.Match != nil && o.String() == s.String() }) {
				return false
			}
		}
	}
	return true
}

// verdict returns the verdict with which a rule ends, or none.
func (r *Rule) verdict() Verdict {
	for _, s := range r.Statements {
		if s.Verdict != nil {
			return *s.Verdict
		}
	}
	return Verdict{}
}

// extensionName returns the name of an extension, which some releases of nft leave out.
func extensionName(value json.RawMessage) string {
	var x struct{ Name string }
	if json.Unmarshal(value, &x) != nil {
		return ""
	}
	return x.Name
}

// NeedsIptables returns the families of tables with rules of iptables whose parameters nft does not list.
func (r *Ruleset) NeedsIptables() []string {
	var families []string
	for _, t := range r.Tables {
		if t.Family != "ip" && t.Family != "ip6" || slices.Contains(families, t.Family) {
			continue
		}
		if slices.ContainsFunc(t.Chains, func(c Chain) bool {
			return slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Text == "" && len(r.extensions) > 0 })
		}) {
			families = append(families, t.Family)
		}
	}
	return families
}

// unreadLegacy returns a table of which nothing is known, in place of those of iptables-legacy.
func unreadLegacy(family string) *Table {
	t := &Table{Family: family, Name: "of iptables-legacy"}
	unknown := fmt.Sprintf("the rules of iptables-legacy for %s, which were not read", family)
	rules := []Rule{{Statements: []Statement{{Unknown: unknown}}, Text: unknown}}
	for h := Input; h <= Postrouting; h++ {
		t.Chains = append(t.Chains, Chain{Name: h.String(), Type: "filter", Hook: h.String(), Policy: "accept", Rules: rules})
		if h == Prerouting || h == Output {
			nat := []Rule{{Statements: []Statement{{Perhaps: unknown}, {NAT: &NAT{Kind: DNAT, Open: true, Text: unknown}}}, Text: unknown}}
			t.Chains = append(t.Chains, Chain{Name: "nat " + h.String(), Type: "nat", Hook: h.String(), Priority: dstnat, Policy: "accept", Rules: nat})
		}
	}
	return t
}
