package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// waived is how a result with a waiver is shown, whatever its verdict would be.
const waived audit.Verdict = "waived"

// verdictOf returns the verdict that is shown for a result.
func verdictOf(r audit.Result) audit.Verdict {
	if r.Waiver != nil {
		return waived
	}
	return r.Verdict
}

// shownVerdicts returns the verdicts that verdictOf can return, the worst first.
func shownVerdicts() []audit.Verdict {
	return []audit.Verdict{audit.Fail, audit.Unknown, waived, audit.Pass, audit.Skip}
}

// badness returns a rank, smaller for a worse result: failures by severity, then unknown, waived,
// and the rest.
func badness(r audit.Result) int {
	worst := len(audit.Severities())
	switch verdictOf(r) {
	case audit.Fail:
		return r.Severity.Rank()
	case audit.Unknown:
		return worst
	case waived:
		return worst + 1
	default:
		return worst + 2
	}
}

// worstFirst returns a sorted copy. Results that are equally bad stay in the report's order.
func worstFirst(results []audit.Result) []audit.Result {
	return slices.SortedStableFunc(slices.Values(results), func(a, b audit.Result) int { return cmp.Compare(badness(a), badness(b)) })
}

// group holds the results of one target.
type group struct {
	target  string
	kind    audit.Kind
	results []audit.Result // the worst first
	count   map[audit.Verdict]int
}

// hasOnlyPasses reports whether no result of the target failed, is unknown or is waived.
func (g group) hasOnlyPasses() bool {
	return g.count[audit.Fail]+g.count[audit.Unknown]+g.count[waived] == 0
}

// groupByTarget returns one group for each target, the worst first.
func groupByTarget(results []audit.Result) []group {
	type key struct {
		target string
		kind   audit.Kind
	}
	var groups []group
	known := map[key]int{}
	for _, r := range results {
		of := key{r.Target, r.Kind}
		at, found := known[of]
		if !found {
			at = len(groups)
			known[of] = at
			groups = append(groups, group{target: r.Target, kind: r.Kind, count: map[audit.Verdict]int{}})
		}
		groups[at].results = append(groups[at].results, r)
		groups[at].count[verdictOf(r)]++
	}
	for i := range groups {
		groups[i].results = worstFirst(groups[i].results)
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(badness(a.results[0]), badness(b.results[0])) })
	return groups
}

// waiverText returns who is responsible for a waived finding, until when and why.
func waiverText(w *audit.Waiver) string {
	by := w.Owner
	if w.Ticket != "" {
		by += ", " + w.Ticket
	}
	if by != "" {
		by = " (" + by + ")"
	}
	return "until " + w.Expires.UTC().Format(time.DateOnly) + ": " + w.Reason + by
}
