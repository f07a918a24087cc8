package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	alike   []string // the targets of which each result is the same; empty for one target
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

// joinDoubts joins the groups of targets that are unknown in the same way, such as those of hosts that are
// down, into one. The groups stay in their order.
func joinDoubts(groups []group) []group {
	var joined []group
	known := map[string]int{}
	for _, g := range groups {
		if g.count[audit.Unknown] == 0 || g.count[audit.Fail]+g.count[waived] > 0 {
			joined = append(joined, g)
			continue
		}
		same := outcomeOf(g)
		at, found := known[same]
		if !found {
			known[same] = len(joined)
			joined = append(joined, g)
			continue
		}
		first := &joined[at]
		if first.alike == nil {
			first.alike = []string{first.target}
			first.count = maps.Clone(first.count)
		}
		first.alike = append(first.alike, g.target)
		first.target = fmt.Sprintf("%d targets", len(first.alike))
		for verdict, n := range g.count {
			first.count[verdict] += n
		}
	}
	return joined
}

// outcomeOf returns a key that is equal for groups with the same kind and results.
func outcomeOf(g group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", g.kind)
	for _, r := range g.results {
		fmt.Fprintf(&b, "%q%q%q", r.CheckID, r.Verdict, r.Evidence)
	}
	return b.String()
}

// firstOf shortens a list of targets. JSON has all of them.
func firstOf(targets []string) []string {
	const most = 10
	if len(targets) <= most {
		return targets
	}
	return append(slices.Clone(targets[:most]), fmt.Sprintf("and %d more", len(targets)-most))
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
