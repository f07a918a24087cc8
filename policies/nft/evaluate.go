package nft

import (
	"slices"
)

// outcomes is a set of things that may happen, one per bit.
type outcomes uint8

const (
	accepts outcomes = 1 << iota
	drops
	falls // through the end of the chain, or by return
)

// outcome holds all that may happen to the packet, and for each the first place that does it.
type outcome struct {
	can        outcomes
	where      [2]place // of accepts and drops
	translates []translation
}

// translation is a NAT that may happen, and its rule.
type translation struct {
	nat *NAT
	at  place
}

func (o *outcome) add(can outcomes, at place) {
	if can&o.can == 0 && can != falls {
		o.where[can>>1] = at
	}
	o.can |= can
}

func (o *outcome) placeOf(can outcomes) place { return o.where[can>>1] }

func (o *outcome) join(other outcome) {
	for _, can := range []outcomes{accepts, drops} {
		if other.can&can != 0 {
			o.add(can, other.placeOf(can))
		}
	}
	for _, t := range other.translates {
		o.addTranslation(t)
	}
}

// addTranslation keeps the first rule of each NAT.
func (o *outcome) addTranslation(t translation) {
	if !slices.ContainsFunc(o.translates, func(u translation) bool { return *u.nat == *t.nat }) {
		o.translates = append(o.translates, t)
	}
}

func (o *outcome) fallThrough(b base) {
	o.can &^= falls
	can := accepts
	if b.chain.Policy == "drop" {
		can = drops
	}
	o.add(can, place{table: b.table, chain: b.chain})
}

// evaluation follows one packet through one table. A chain does the same to the packet from
// wherever it is entered, because nothing here depends on what a rule changes. So each chain is
// judged once, and the work is linear in the rules.
type evaluation struct {
	table  *Table
	packet Packet
	nat    bool // the chains are of type nat
	judged map[*Chain]outcome
	doubt  doubt // the first thing that is not known
	changes
	key []Value
}

// maxDepth limits nested jumps. The kernel's own limit is 16.
const maxDepth = 64

// evalChain evaluates a chain and the chains that it jumps to.
func (e *evaluation) evalChain(c *Chain, depth int) outcome {
	if o, ok := e.judged[c]; ok {
		return o
	}
	if e.judged == nil {
		e.judged = map[*Chain]outcome{}
	}
	// The kernel loads no loops and nothing this deep, but a file may say what it wants. What
	// is found here again while it is judged is not known.
	at := place{table: e.table, chain: c}
	unknown := outcome{can: falls}
	unknown.add(accepts, at)
	unknown.add(drops, at)
	e.judged[c] = unknown
	if c.Unlisted {
		e.unlisted = append(e.unlisted, Part{"chain", e.table.Family, e.table.Name, c.Name})
		e.addDoubt(at, "its rules, which were not listed")
		return unknown
	}
	if depth > maxDepth {
		e.addDoubt(at, "chains that jump without end")
		return unknown
	}
	var o outcome
	end := falls
	for i := range c.Rules {
		step := e.evalRule(c, i, depth)
		o.join(step.outcome)
		if step.returns {
			o.can |= falls
		}
		if !step.goesOn {
			end = 0
			break
		}
	}
	o.can |= end
	e.judged[c] = o
	return o
}

// step holds what one rule may do: decide, return to the caller of the chain, or go on.
type step struct {
	outcome
	returns, goesOn bool
}

// evalRule evaluates rule i of a chain.
func (e *evaluation) evalRule(c *Chain, i, depth int) step {
	r := &c.Rules[i]
	at := place{table: e.table, chain: c, rule: r, number: i + 1 - c.before}
	var s step
	for j := range r.Statements {
		statement := &r.Statements[j]
		at.statement = statement
		switch {
		case statement.Match != nil:
			switch e.match(statement.Match) {
			case no:
				s.goesOn = true
				return s
			case perhaps:
				e.addDoubt(at, "")
				s.goesOn = true
			case yes:
			}
		case statement.Perhaps != "":
			e.addDoubt(at, statement.Perhaps)
			s.goesOn = true
		case statement.Unknown != "":
			e.addDoubt(at, statement.Unknown)
			s.add(accepts, at)
			s.add(drops, at)
			s.goesOn = true
		case statement.Verdict != nil:
			e.evalVerdict(*statement.Verdict, at, depth, &s)
			return s
		case statement.Map != nil:
			e.evalMap(statement.Map, at, depth, &s)
			return s
		case statement.NAT != nil:
			if e.evalNAT(statement.NAT, at, &s) {
				return s
			}
		case statement.Rewrite != nil:
			if e.rewrites == (place{}) && statement.Rewrite.meets(&e.packet) {
				e.rewrites = at
			}
		case untracks(statement.Neutral):
			e.untracks = true
		}
	}
	s.goesOn = true
	return s
}

// evalNAT adds to s what a NAT does, and reports whether that ends the chain.
func (e *evaluation) evalNAT(n *NAT, at place, s *step) (ends bool) {
	switch {
	case n.Addr.IsValid() && n.Addr.Is4() != e.packet.Src.Is4():
		return false // of the other family
	case e.nat && n.Kind != Tproxy:
		s.addTranslation(translation{n, at})
		return true
	}
	// Whether a socket takes it is not known, and elsewhere the kernel loads no NAT.
	e.addDoubt(at, "")
	s.add(accepts, at)
	s.add(drops, at)
	return false
}

// evalVerdict adds to s what a verdict does.
func (e *evaluation) evalVerdict(v Verdict, at place, depth int, s *step) {
	switch v.Kind {
	case "accept":
		s.add(accepts, at)
	case "drop", "reject":
		s.add(drops, at)
	case "return":
		s.returns = true
	case "jump", "goto":
		to := e.table.chain(v.Chain)
		if to == nil {
			e.addDoubt(at, "a chain that is not there")
			s.add(accepts, at)
			s.add(drops, at)
			s.goesOn = true
			return
		}
		o := e.evalChain(to, depth+1)
		s.join(o)
		if o.can&falls != 0 {
			// From where goto led there is no way back to the rule below.
			s.goesOn = s.goesOn || v.Kind == "jump"
			s.returns = s.returns || v.Kind == "goto"
		}
	default: // continue
		s.goesOn = true
	}
}

// evalMap adds to s the verdict of the element that has the packet's key. If the key is unknown,
// it adds those of all elements.
func (e *evaluation) evalMap(m *MapStatement, at place, depth int, s *step) {
	elements, open, ok := e.resolveOperand(&m.Operand)
	key, known := e.keyOf(m.Fields)
	switch {
	case known == no:
		s.goesOn = true
	case !ok || open || known == perhaps:
		e.addDoubt(at, "")
		s.goesOn = true
		if !ok {
			return
		}
		for _, element := range elements.Elements {
			e.evalVerdict(element.Verdict, at, depth, s)
		}
	default:
		i, found := elements.find(key)
		if !found {
			s.goesOn = true
			return
		}
		e.evalVerdict(elements.Elements[i].Verdict, at, depth, s)
	}
}

// addDoubt notes the first thing that is not known: what, or the statement of the place.
func (e *evaluation) addDoubt(at place, what string) {
	if e.doubt == (doubt{}) {
		e.doubt = doubt{at, what}
	}
}
