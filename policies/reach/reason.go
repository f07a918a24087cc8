package reach

// reason is a decision that verdicts and flows share. Thousands of flows have few reasons.
type reason struct {
	Decision
	text   string // its words, once they were asked for
	number int    // among those of [evaluator.because]
}

// words returns the decision in words.
func (r *reason) words() string {
	if r.text == "" {
		r.text = r.Decision.String()
	}
	return r.text
}

// reasonFor returns the reason of a decision, the same for equal decisions.
func (e *evaluator) reasonFor(d Decision) *reason {
	r := e.reasons[d]
	if r == nil {
		r = &reason{Decision: d, number: len(e.reasons)}
		e.reasons[d] = r
	}
	return r
}
