package policies

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/policies/nft"
)

// SavedRules holds what iptables-save or ip6tables-save printed on one node.
type SavedRules struct {
	Node  string // empty for every node
	File  string
	Saved *nft.Iptables
}

// iptablesForm reads the output of iptables-save and ip6tables-save.
type iptablesForm struct{}

func (iptablesForm) recognizes(_ string, data []byte) bool { return nft.IsIptables(data) }

func parseSaved(node, file string, data []byte) (SavedRules, error) {
	saved, err := nft.ParseIptables(data)
	if err != nil {
		return SavedRules{}, fmt.Errorf("%s: %w", file, err)
	}
	return SavedRules{node, file, saved}, nil
}

func (iptablesForm) read(f *Filters, node, file string, data []byte) error {
	saved, err := parseSaved(node, file, data)
	if err == nil {
		f.saved = append(f.saved, saved)
	}
	return err
}

// compare keeps the rules for the ruleset of the node, which is compared later.
func (iptablesForm) compare(d *Drift, node, file string, data []byte) error {
	if node == "" {
		return &UnnamedNodeError{File: file, Example: d.Intent.Members[0].Name}
	}
	saved, err := parseSaved(node, file, data)
	if err == nil {
		d.saved = append(d.saved, saved)
	}
	return err
}

// ErrNoRuleset means that the output of iptables-save was given without that of nft on the same host.
var ErrNoRuleset = errors.New(`give the output of "nft -j list ruleset" on the same host as well, with the same NODE=`)

// Complete joins to the rulesets of nodes what iptables-save printed there. Of a node without a ruleset the
// rules of iptables are all there is.
func (f *Filters) Complete() error {
	var nodes []string
	for _, s := range f.saved {
		if !slices.Contains(nodes, s.Node) {
			nodes = append(nodes, s.Node)
		}
	}
	for _, node := range nodes {
		at := slices.IndexFunc(f.NodeRules, func(r NodeRules) bool { return r.Node == node })
		switch {
		case node == "" && f.Rules == nil && len(f.NodeRules) > 0, node != "" && at < 0 && f.Rules != nil:
			file := f.saved[slices.IndexFunc(f.saved, func(s SavedRules) bool { return s.Node == node })].File
			return fmt.Errorf("%s: %w", file, ErrNoRuleset)
		case node == "" && f.Rules == nil:
			f.Rules = &nft.Ruleset{}
		case node != "" && at < 0:
			at = len(f.NodeRules)
			f.NodeRules = append(f.NodeRules, NodeRules{Node: node, Rules: &nft.Ruleset{}})
		}
		rules := f.Rules
		if node != "" {
			rules = f.NodeRules[at].Rules
		}
		if err := joinSaved(rules, f.saved, node); err != nil {
			return err
		}
	}
	f.saved = nil
	return nil
}

// joinSaved completes a ruleset with the rules of one node.
func joinSaved(rules *nft.Ruleset, all []SavedRules, node string) error {
	var saved []*nft.Iptables
	file := ""
	for _, s := range all {
		if s.Node == node {
			saved, file = append(saved, s.Saved), s.File
		}
	}
	if err := rules.Join(saved...); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
