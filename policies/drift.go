package policies

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/internal/legible"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// Drift compares the filters in force with an [Intent].
type Drift struct {
	Intent *Intent
	// Node is the node or member of rulesets that name none.
	Node string
	// Backends lists the backends whose objects are compared. If it is empty, those of the spec
	// are.
	Backends []cluster.Backend
	Options  RenderOptions
	// NotMembers lists the names of rulesets that are no member's. They were compared with the rules
	// of a node without a member.
	NotMembers []string

	found    []Difference
	have     kube.Objects
	given    bool // objects were
	rulesets []liveRuleset
	saved    []SavedRules
}

// liveRuleset is a ruleset that is compared when all files are read.
type liveRuleset struct {
	node, file string
	rules      *nft.Ruleset
}

// Difference is one difference between the filters in force and an [Intent].
type Difference struct {
	Where string `json:"where,omitempty"` // the file, or the host
	What  string `json:"what"`            // which part of a table, unit or object, such as GlobalNetworkPolicy prod-etcd spec.order
	Kind  string `json:"kind"`            // missing, extra, changed or unknown
	Want  string `json:"want,omitempty"`  // of an object as JSON; empty if it should be absent
	Live  string `json:"live,omitempty"`  // of what is unknown, why
}

// The kinds of differences. Unknown marks a Difference that could not be determined.
const (
	Missing = nft.Missing
	Extra   = nft.Extra
	Changed = nft.Changed
	Unknown = "unknown"
)

// String describes the difference without its place.
func (d Difference) String() string {
	orNothing := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	if d.Kind == Changed {
		return orNothing(d.Live) + ", want " + orNothing(d.Want)
	}
	return d.Want + d.Live
}

// DriftResult holds the differences that a comparison found, as JSON shows them.
type DriftResult struct {
	SchemaVersion int          `json:"schema_version"`
	Matches       bool         `json:"matches"`
	Differences   []Difference `json:"differences"`
}

// NewDriftResult returns the result that holds the given differences.
func NewDriftResult(found []Difference) DriftResult {
	return DriftResult{SchemaVersion: 1, Matches: len(found) == 0, Differences: append([]Difference{}, found...)}
}

// Undecided reports whether something could not be compared.
func (r DriftResult) Undecided() bool {
	return slices.ContainsFunc(r.Differences, func(d Difference) bool { return d.Kind == Unknown })
}

// WriteText writes one difference on each line.
func (r DriftResult) WriteText(w io.Writer) error {
	table := layout.NewTable(w)
	for _, d := range r.Differences {
		table.Row(legible.Line(d.Where), legible.Line(d.What), d.Kind, legible.Line(d.String()))
	}
	return table.Flush()
}

// UnnamedNodeError means that a ruleset names no node, and none was given for it.
type UnnamedNodeError struct {
	File    string
	Example string // the name of a member
}

func (e *UnnamedNodeError) Error() string { return e.File + ": the ruleset does not name its host" }

// ErrNoObjects means that objects were given, but no backend of the spec is made of objects.
var ErrNoObjects = errors.New("objects were given, but no backend of the spec is made of objects")

// Compare compares each ruleset and unit separately, and the objects of all files together. It
// recognises the kind of a file by its content.
func (d *Drift) Compare(r *Reader, given []string) ([]Difference, error) {
	for _, g := range given {
		f, err := r.Open(g)
		if err != nil {
			return nil, err
		}
		if f.Node == "" {
			f.Node = d.Node
		}
		if err := formOf(f.Name, f.Data).compare(d, f.Node, f.Name, f.Data); err != nil {
			return nil, err
		}
	}
	if err := d.compareRulesets(); err != nil || !d.given {
		return d.found, err
	}
	backends := d.Backends
	if len(backends) == 0 {
		backends = d.Intent.Backends
	}
	var want kube.Objects
	made := false
	for _, name := range backends {
		b, err := FindBackend(name)
		if err != nil {
			return nil, err
		}
		rendered, err := Render(d.Intent, name, d.Options)
		if err != nil {
			return nil, err
		}
		made = made || b.MadeOfObjects()
		want.Add(rendered.Objects)
	}
	if !made {
		return nil, ErrNoObjects
	}
	return append(d.found, ObjectDrift(want, d.have)...), nil
}

// compareRulesets compares the rulesets, completed with what iptables-save printed on their hosts.
func (d *Drift) compareRulesets() error {
	for _, s := range d.saved {
		if !slices.ContainsFunc(d.rulesets, func(l liveRuleset) bool { return l.node == s.Node }) {
			return fmt.Errorf("%s: %w", s.File, ErrNoRuleset)
		}
	}
	for _, l := range d.rulesets {
		if err := joinSaved(l.rules, d.saved, l.node); err != nil {
			return err
		}
		filter := d.Intent.NodeFilter(l.node)
		d.found = append(d.found, RulesDrift(l.file, filter.Rules(d.Intent), l.rules)...)
		d.found = append(d.found, TranslationDrift(l.file, d.Intent, filter, l.rules)...)
	}
	return nil
}

// RulesDrift returns how live rules differ from the wanted ones. The table that the cluster had before
// its name was part of the table's is extra.
func RulesDrift(where string, want, live *nft.Ruleset) []Difference {
	var found []Difference
	for _, d := range nft.Diff(want, live) {
		found = append(found, Difference{Where: where, What: d.What, Kind: d.Kind, Want: d.Want, Live: d.Live})
	}
	if _, former := FormerTable(want, live); former {
		found = append(found, Difference{Where: where, What: "table inet " + FormerNftablesTable, Kind: Extra, Live: "the table of this cluster under its former name"})
	}
	return found
}

// TranslationDrift returns the rules of any table by which the host of a member sends connections to
// its ports elsewhere. The rules of the spec, which filter at the hook input, do not see these.
func TranslationDrift(where string, i *Intent, f NodeFilter, live *nft.Ruleset) []Difference {
	found, _ := translationDrift(where, i, f, live)
	return found
}

// UnlistedTranslations returns what has to be listed of a host before it is certain that no rule sends
// connections elsewhere, and whether one does by what is listed.
func UnlistedTranslations(i *Intent, f NodeFilter, live *nft.Ruleset) (unlisted []nft.Part, some bool) {
	found, unlisted := translationDrift("", i, f, live)
	return unlisted, len(found) > 0
}

func translationDrift(where string, i *Intent, f NodeFilter, live *nft.Ruleset) (found []Difference, unlisted []nft.Part) {
	at := slices.IndexFunc(i.Members, func(m Host) bool { return f.Member && m.Name == f.Name })
	if at < 0 {
		return nil, nil
	}
	for _, family := range live.LegacyUnread {
		found = append(found, Difference{Where: where, What: "iptables-legacy of family " + family, Kind: Unknown, Live: "its rules were not read"})
	}
	decided := *live
	decided.LegacyUnread = nil
	tracer := decided.Tracer()
	for _, a := range i.Members[at].Addrs {
		for _, port := range i.Ports.All() {
			all, parts := tracer.Translations(a, port)
			for _, t := range all {
				d := Difference{Where: where, What: fmt.Sprintf("%s, rule %d", t.Chain, t.Number), Kind: Extra, Live: t.Rule}
				if !slices.Contains(found, d) {
					found = append(found, d)
				}
			}
			for _, p := range parts {
				if !slices.Contains(unlisted, p) {
					unlisted = append(unlisted, p)
				}
			}
		}
	}
	return found, unlisted
}
