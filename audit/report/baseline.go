package report

import (
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// The states of a result against a baseline (SARIF 2.1.0 3.27.24).
const (
	stateNew       = "new"
	stateUpdated   = "updated"
	stateUnchanged = "unchanged"
	stateAbsent    = "absent"
)

// comparison compares a report with an earlier one.
type comparison struct {
	before audit.Report
	// gone are earlier results that the report no longer has. Fixed results stay as they were.
	// Results that were not asked for become unknown, so that no service closes their alerts.
	gone   []audit.Result
	states map[resultKey]string
}

// resultKey identifies a result across reports: check, target and kind.
type resultKey struct {
	check, target string
	kind          audit.Kind
}

// A target that several hosts have is named with its host, by legible.
func keyOf(r audit.Result) resultKey { return resultKey{r.CheckID, r.Target, r.Kind} }

// baseline compares a legible report with the baseline. Without a baseline the comparison is
// empty.
func (s SARIF) baseline(r audit.Report) comparison {
	if s.Baseline == nil {
		return comparison{}
	}
	c := comparison{before: makeLegible(*s.Baseline), states: map[resultKey]string{}}
	for _, result := range c.before.Results {
		if result.Verdict == audit.Unknown { // and is not in the comparison if it still is
			c.states[keyOf(result)] = stateUnchanged
		}
	}
	for _, d := range audit.Compare(c.before, r).Changes {
		question := resultKey{d.CheckID, d.Target, d.Kind}
		switch d.Change {
		case audit.Appeared:
			c.states[question] = stateNew
		case audit.Shifted, audit.Obscured:
			c.states[question] = stateUpdated
		case audit.Unchanged:
			c.states[question] = stateUnchanged
		case audit.Fixed, audit.Unasked:
			was := c.before.Results[slices.IndexFunc(c.before.Results, func(r audit.Result) bool { return keyOf(r) == question })]
			c.states[question] = stateAbsent
			if d.Change == audit.Unasked {
				was.Verdict, was.Waiver, was.Evidence = audit.Unknown, nil, "it was "+string(d.Was)+" and is "+string(d.Now)+" now: "+was.Evidence
				c.states[question] = stateUpdated
			}
			c.gone = append(c.gone, was)
		}
	}
	return c
}

// state returns the state of a result that is in the report or gone from it.
func (c comparison) state(r audit.Result) string {
	if state := c.states[keyOf(r)]; state != "" {
		return state
	}
	return stateNew
}

// runUUID returns the UUID of an audit. The same report has the same UUID in every rendering.
func runUUID(r audit.Report) string {
	parts := []string{"run", r.Tool.Version, r.StartedAt.UTC().Format(time.RFC3339Nano), r.FinishedAt.UTC().Format(time.RFC3339Nano)}
	for _, result := range r.Results {
		parts = append(parts, result.Fingerprint, string(result.Verdict))
	}
	return uuidOf(parts...)
}
