package nft

import (
	"fmt"
	"strings"
)

// Source names the rule or the policy of a chain that decides about a packet, or the doubt. Equal
// sources of one ruleset have equal texts.
type Source struct {
	at         place
	unfiltered bool // no chain of the hook is there
	hook       Hook // of what is unfiltered
	doubt      doubt
}

// String returns the source as nft lists it, with its place. The text is made here and not for each
// packet, because few of thousands are shown.
func (s Source) String() string {
	switch {
	case s.unfiltered:
		return "no rule: nothing of " + s.hook.String() + " filters it"
	case s.doubt != doubt{}:
		return s.doubt.String()
	case s.at.table == nil:
		return ""
	}
	return s.at.String()
}

// undecidedError is the Err of a decision that depends on what is not known.
type undecidedError struct{ doubt doubt }

func (e *undecidedError) Error() string {
	return ErrUndecided.Error() + ": it depends on " + e.doubt.String()
}

func (e *undecidedError) Unwrap() error { return ErrUndecided }

// place is a rule, or a policy where the rule is nil.
type place struct {
	table     *Table
	chain     *Chain
	rule      *Rule
	statement *Statement
	number    int
}

func (p place) String() string {
	at := fmt.Sprintf("%s %s %s", p.table.Family, p.table.Name, p.chain.Name)
	if p.rule == nil {
		return at + ": policy " + p.chain.Policy
	}
	return fmt.Sprintf("%s rule %d: %s", at, p.number, p.rule)
}

// source returns the place as the source of a decision, to which a rule is one whichever of its
// statements decides.
func (p place) source() Source {
	p.statement = nil
	return Source{at: p}
}

// doubt is something that is not known, and the place that asks for it.
type doubt struct {
	at   place
	what string // empty for the statement of the place
}

func (d doubt) String() string {
	what := d.what
	if what == "" && d.at.statement != nil {
		what = d.at.statement.String()
		if strings.HasPrefix(what, "xt ") {
			what += ", of which nft lists no parameters: give the output of iptables-save as well"
		}
	}
	return d.at.String() + " (" + what + ")"
}
