package nft

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Part names what `nft list` lists by itself: a chain, a set or a map.
type Part struct{ Kind, Family, Table, Name string }

// ParseChains reads what `nft -j list chains` prints: every chain without its rules, which are listed as
// they are needed, by Add.
func ParseChains(nftJSON []byte) (*Ruleset, error) {
	objects, err := decodeDump(nftJSON)
	if err != nil {
		return nil, err
	}
	p := newParser()
	for i, o := range objects {
		c, ok := o["chain"]
		if !ok {
			continue
		}
		var of object
		if err := json.Unmarshal(c, &of); err != nil {
			return nil, fmt.Errorf("parsing the chains of nft: object %d: %w", i, err)
		}
		at, ok := p.tables[of.Family+" "+of.Table]
		if !ok {
			at = len(p.ruleset.Tables)
			p.addTable(object{Family: of.Family, Name: of.Table})
			p.ruleset.Tables[at].Partial = true
		}
		t := &p.ruleset.Tables[at]
		if err := p.addToTable("chain", of, t); err != nil {
			return nil, fmt.Errorf("parsing the chains of nft: object %d: %w", i, err)
		}
		t.Chains[len(t.Chains)-1].Unlisted = true
	}
	return p.ruleset, nil
}

// Add adds what `nft -j list` prints of a part.
func (r *Ruleset) Add(part Part, nftJSON []byte) error {
	objects, err := decodeDump(nftJSON)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(r.Tables, func(t Table) bool { return t.Family == part.Family && t.Name == part.Table })
	if at < 0 {
		return fmt.Errorf("parsing a %s of nft: table %s %s is not listed", part.Kind, part.Family, part.Table)
	}
	p := newParser()
	p.addTable(object{Family: part.Family, Name: part.Table})
	for i, o := range objects {
		if err := p.addObject(o); err != nil {
			return fmt.Errorf("parsing a %s of nft: object %d: %w", part.Kind, i, err)
		}
	}
	t, listed := &r.Tables[at], &p.ruleset.Tables[0]
	if part.Kind == "chain" {
		from, to := listed.chain(part.Name), t.chain(part.Name)
		if from == nil || to == nil {
			return fmt.Errorf("parsing a chain of nft: %q is not listed", part.Name)
		}
		*to = *from
		return nil
	}
	s := listed.set(part.Name)
	if s == nil {
		return fmt.Errorf("parsing a %s of nft: %q is not listed", part.Kind, part.Name)
	}
	s.normalize()
	t.Sets = append(t.Sets, *s)
	return nil
}
