package reach

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// calicoSelector is an expression of Calico's selector language
// (projectcalico/calico libcalico-go/lib/selector/parser). The zero one selects everything.
type calicoSelector struct {
	root *calicoTerm
	// global is set where the selector is global() alone: what has no namespace.
	global bool
}

// calicoTerm is a node of the expression: "all", "and", "or", "not", or a condition on a label.
type calicoTerm struct {
	operator string
	key      string
	values   []string
	terms    []*calicoTerm
}

// maxSelector is above any selector; the parser recurses once for each parenthesis.
const maxSelector = 64 << 10

const maxSelectorDepth = 100

// newCalicoSelector parses a selector; an empty one selects everything.
func newCalicoSelector(text string) (calicoSelector, error) {
	if len(text) > maxSelector {
		return calicoSelector{}, fmt.Errorf("selector is longer than %d bytes", maxSelector)
	}
	p := calicoParser{text: text}
	if p.skipSpace(); p.rest() == "" {
		return calicoSelector{}, nil
	}
	root, err := p.parseOr(0)
	if err == nil && p.rest() != "" {
		err = fmt.Errorf("unexpected %q at the end", p.rest())
	}
	if err != nil {
		return calicoSelector{}, fmt.Errorf("selector %q: %w", text, err)
	}
	return calicoSelector{root: root, global: root.operator == "global"}, nil
}

// includesHosts reports whether a namespace selector also covers host endpoints, which have no
// namespace: all() means every namespace.
func (s calicoSelector) includesHosts() bool { return s.root == nil || s.global }

// matches reports whether the labels of an endpoint or a namespace match.
func (s calicoSelector) matches(labels func(key string) (string, bool)) bool {
	return s.root == nil || s.root.matches(labels)
}

func (t *calicoTerm) matches(labels func(string) (string, bool)) bool {
	switch t.operator {
	case "all":
		return true
	case "global":
		_, namespaced := labels(calicoNamespace)
		return !namespaced
	case "not":
		return !t.terms[0].matches(labels)
	case "and":
		return !slices.ContainsFunc(t.terms, func(u *calicoTerm) bool { return !u.matches(labels) })
	case "or":
		return slices.ContainsFunc(t.terms, func(u *calicoTerm) bool { return u.matches(labels) })
	}
	value, there := labels(t.key)
	switch t.operator {
	case "has":
		return there
	case "==", "in":
		return there && slices.Contains(t.values, value)
	case "!=", "not in":
		return !there || !slices.Contains(t.values, value)
	case "contains":
		return there && strings.Contains(value, t.values[0])
	case "starts with":
		return there && strings.HasPrefix(value, t.values[0])
	default: // "ends with"
		return there && strings.HasSuffix(value, t.values[0])
	}
}

// visitKeys calls add for each label that a selector uses, with the values that it compares it to.
// open is set if it compares in another way than with whole values.
func (s calicoSelector) visitKeys(add func(key string, values []string, open bool)) {
	var walk func(*calicoTerm)
	walk = func(t *calicoTerm) {
		if t == nil {
			return
		}
		if t.key != "" {
			add(t.key, t.values, slices.Contains([]string{"contains", "starts with", "ends with"}, t.operator))
		}
		for _, u := range t.terms {
			walk(u)
		}
	}
	walk(s.root)
}

type calicoParser struct {
	text string
	at   int
}

func (p *calicoParser) rest() string { return p.text[p.at:] }

func (p *calicoParser) skipSpace() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take consumes a token and the space after it, if the token comes next.
func (p *calicoParser) take(token string) bool {
	if !strings.HasPrefix(p.rest(), token) {
		return false
	}
	p.at += len(token)
	p.skipSpace()
	return true
}

func (p *calicoParser) parseOr(depth int) (*calicoTerm, error) {
	return p.parseList(depth, "or", "||", p.parseAnd)
}

func (p *calicoParser) parseAnd(depth int) (*calicoTerm, error) {
	return p.parseList(depth, "and", "&&", p.parseNot)
}

func (p *calicoParser) parseList(depth int, operator, token string, next func(int) (*calicoTerm, error)) (*calicoTerm, error) {
	if depth > maxSelectorDepth {
		return nil, errors.New("too many parentheses")
	}
	first, err := next(depth)
	if err != nil || !strings.HasPrefix(p.rest(), token) {
		return first, err
	}
	list := &calicoTerm{operator: operator, terms: []*calicoTerm{first}}
	for p.take(token) {
		t, err := next(depth)
		if err != nil {
			return nil, err
		}
		list.terms = append(list.terms, t)
	}
	return list, nil
}

func (p *calicoParser) parseNot(depth int) (*calicoTerm, error) {
	negations := 0
	for strings.HasPrefix(p.rest(), "!") {
		p.take("!")
		negations++
	}
	t, err := p.parseOperand(depth)
	if err != nil {
		return nil, err
	}
	if negations%2 == 1 {
		t = &calicoTerm{operator: "not", terms: []*calicoTerm{t}}
	}
	return t, nil
}

func (p *calicoParser) parseOperand(depth int) (*calicoTerm, error) {
	if p.take("(") {
		t, err := p.parseOr(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, fmt.Errorf("a parenthesis is not closed at %q", p.rest())
		}
		return t, nil
	}
	key := p.parseLabel()
	if key == "" {
		return nil, fmt.Errorf("want a label at %q", p.rest())
	}
	if p.take("(") {
		return p.parseFunction(key)
	}
	p.skipSpace()
	return p.parseCondition(key)
}

// parseFunction parses all(), global() or has(LABEL).
func (p *calicoParser) parseFunction(name string) (*calicoTerm, error) {
	t := &calicoTerm{operator: name}
	switch name {
	case "all", "global":
	case "has":
		if t.key = p.parseLabel(); t.key == "" {
			return nil, fmt.Errorf("want a label at %q", p.rest())
		}
		p.skipSpace()
	default:
		return nil, fmt.Errorf("there is no function %s()", name)
	}
	if !p.take(")") {
		return nil, fmt.Errorf("%s( is not closed", name)
	}
	return t, nil
}

// parseLabel parses what Calico accepts as the key of a label. It does not consume the space after it.
func (p *calicoParser) parseLabel() string {
	start := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_./-", c) >= 0 {
			p.at++
			continue
		}
		break
	}
	return p.text[start:p.at]
}

func (p *calicoParser) parseCondition(key string) (*calicoTerm, error) {
	for _, operator := range []string{"==", "!=", "contains", "starts with", "ends with", "not in", "in"} {
		if !p.takeWords(operator) {
			continue
		}
		t := &calicoTerm{operator: operator, key: key}
		if operator == "in" || operator == "not in" {
			return t, p.parseSet(t)
		}
		value, err := p.parseString()
		t.values = []string{value}
		return t, err
	}
	return nil, fmt.Errorf("want an operator after %s at %q", key, p.rest())
}

// takeWords consumes an operator, whose words may have any space between them.
func (p *calicoParser) takeWords(operator string) bool {
	start := p.at
	for word := range strings.FieldsSeq(operator) {
		if !p.take(word) {
			p.at = start
			return false
		}
	}
	return true
}

func (p *calicoParser) parseSet(t *calicoTerm) error {
	if !p.take("{") {
		return fmt.Errorf("want a set {'…'} at %q", p.rest())
	}
	for !p.take("}") {
		if len(t.values) > 0 && !p.take(",") {
			return fmt.Errorf("want a comma at %q", p.rest())
		}
		value, err := p.parseString()
		if err != nil {
			return err
		}
		t.values = append(t.values, value)
	}
	return nil
}

// parseString parses a string in single or double quotes. The string cannot contain the same quotes.
func (p *calicoParser) parseString() (string, error) {
	if p.at >= len(p.text) || p.text[p.at] != '\'' && p.text[p.at] != '"' {
		return "", fmt.Errorf("want a string in quotes at %q", p.rest())
	}
	end := strings.IndexByte(p.text[p.at+1:], p.text[p.at])
	if end < 0 {
		return "", fmt.Errorf("a string is not closed at %q", p.rest())
	}
	value := p.text[p.at+1 : p.at+1+end]
	p.at += end + 2
	p.skipSpace()
	return value, nil
}
