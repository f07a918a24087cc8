package nft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxDump bounds what Parse reads: some hundred thousand rules.
const MaxDump = 256 << 20

// Parse reads what `nft -j list ruleset` or `nft -j list table` prints. It keeps what it does not
// know as it is written; Decide reports where that might decide.
func Parse(nftJSON []byte) (*Ruleset, error) {
	objects, err := decodeDump(nftJSON)
	if err != nil {
		return nil, err
	}
	p := newParser()
	for i, o := range objects {
		if err := p.addObject(o); err != nil {
			return nil, fmt.Errorf("parsing a ruleset of nft: object %d: %w", i, err)
		}
	}
	for i := range p.ruleset.Tables {
		for j := range p.ruleset.Tables[i].Sets {
			p.ruleset.Tables[i].Sets[j].normalize()
		}
	}
	return p.ruleset, nil
}

// decodeDump returns the objects that nft lists.
func decodeDump(nftJSON []byte) ([]map[string]json.RawMessage, error) {
	if len(nftJSON) > MaxDump {
		return nil, fmt.Errorf("parsing a ruleset of nft: has %d bytes; the limit is %d", len(nftJSON), MaxDump)
	}
	var dump struct {
		Objects []map[string]json.RawMessage `json:"nftables"`
	}
	decoder := json.NewDecoder(bytes.NewReader(nftJSON))
	if err := decoder.Decode(&dump); err != nil {
		return nil, fmt.Errorf("parsing a ruleset of nft: %w", err)
	}
	if rest := bytes.TrimSpace(nftJSON[decoder.InputOffset():]); len(rest) > 0 {
		return nil, errors.New("parsing a ruleset of nft: something follows it; give one ruleset in each file")
	}
	if dump.Objects == nil {
		return nil, errors.New(`parsing a ruleset of nft: has no list "nftables"; want what "nft -j list ruleset" prints`)
	}
	return dump.Objects, nil
}

func newParser() *parser {
	return &parser{ruleset: &Ruleset{}, tables: map[string]int{}}
}

// parser fills a ruleset. Indices, because slices move as they grow.
type parser struct {
	ruleset *Ruleset
	tables  map[string]int
}

// object is the common part of what a list of nft has.
type object struct {
	Family, Table, Name, Chain string

	Flags   json.RawMessage
	Type    json.RawMessage
	Hook    string
	Dev     json.RawMessage
	Prio    int
	Policy  string
	Map     json.RawMessage
	Elem    []json.RawMessage
	Expr    []json.RawMessage
	Comment string
	Timeout json.RawMessage
}

func (p *parser) addObject(written map[string]json.RawMessage) error {
	if len(written) != 1 {
		return fmt.Errorf("has %d kinds, want one", len(written))
	}
	for kind, data := range written {
		switch kind {
		case "table", "chain", "rule", "set", "map":
		default:
			return nil // counters, flow tables, the version of nft: they stop no packet
		}
		var o object
		if err := json.Unmarshal(data, &o); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if kind == "table" {
			p.addTable(o)
			return nil
		}
		at, ok := p.tables[o.Family+" "+o.Table]
		if !ok {
			return fmt.Errorf("%s %q of table %s %s, which is not listed before it", kind, o.Name+o.Chain, o.Family, o.Table)
		}
		return p.addToTable(kind, o, &p.ruleset.Tables[at])
	}
	return nil
}

func (p *parser) addTable(o object) {
	t := Table{Family: o.Family, Name: o.Name, chains: map[string]int{}}
	flags := words(o.Flags)
	t.Dormant = slices.Contains(flags, "dormant")
	t.MaybeDormant = !t.Dormant && (len(o.Flags) > 0 && len(flags) == 0 ||
		slices.ContainsFunc(flags, func(flag string) bool { return flag != "owner" && flag != "persist" }))
	p.tables[o.Family+" "+o.Name] = len(p.ruleset.Tables)
	p.ruleset.Tables = append(p.ruleset.Tables, t)
}

// addToTable adds a chain, rule, set or map to its table.
func (p *parser) addToTable(kind string, o object, t *Table) error {
	switch kind {
	case "chain":
		c := Chain{Name: o.Name, Hook: o.Hook, Devices: words(o.Dev), Priority: o.Prio, Policy: o.Policy}
		if len(o.Type) > 0 {
			if err := json.Unmarshal(o.Type, &c.Type); err != nil {
				return fmt.Errorf("chain %q: type: %w", o.Name, err)
			}
		}
		if c.Hook != "" && c.Policy == "" {
			c.Policy = "accept"
		}
		if _, ok := t.chains[o.Name]; ok {
			return fmt.Errorf("chain %q is listed twice", o.Name)
		}
		t.chains[o.Name] = len(t.Chains)
		t.Chains = append(t.Chains, c)
	case "rule":
		c := t.chain(o.Chain)
		if c == nil {
			return fmt.Errorf("rule of chain %q, which is not listed before it", o.Chain)
		}
		c.Rules = append(c.Rules, parseRule(o))
	default:
		t.Sets = append(t.Sets, parseSet(o, kind == "map"))
	}
	return nil
}

// hasWord reports whether some JSON is a word, or a list that has the word.
func hasWord(data json.RawMessage, word string) bool {
	return slices.Contains(words(data), word)
}

// words returns the words of some JSON, which is one word or a list of them.
func words(data json.RawMessage) []string {
	var one string
	if json.Unmarshal(data, &one) == nil && one != "" {
		return []string{one}
	}
	var several []string
	if json.Unmarshal(data, &several) != nil {
		return nil
	}
	return several
}

func parseSet(o object, isMap bool) Set {
	s := Set{
		Name: o.Name, Type: typeName(o.Type), Interval: hasWord(o.Flags, "interval"),
		Open: hasWord(o.Flags, "timeout") || hasWord(o.Flags, "dynamic") || len(o.Timeout) > 0,
	}
	s.Map = isMap
	var data string
	if isMap && (json.Unmarshal(o.Map, &data) != nil || data != "verdict") {
		return s // to addresses or marks, not to verdicts
	}
	for _, raw := range o.Elem {
		e, ok := parseElement(raw, isMap)
		if !ok {
			s.Open = true
			continue
		}
		s.Elements = append(s.Elements, e)
	}
	return s
}

// typeName returns one type, or several concatenated ones, or the JSON of a form that it does not know.
func typeName(data json.RawMessage) string {
	var one string
	if json.Unmarshal(data, &one) == nil {
		return one
	}
	var several []string
	if json.Unmarshal(data, &several) == nil {
		return strings.Join(several, " . ")
	}
	return compactJSON(data)
}

func compactJSON(data json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return string(data)
	}
	return b.String()
}
