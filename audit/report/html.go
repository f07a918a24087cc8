package report

import (
	_ "embed" // the page's template
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// HTML writes one page that needs nothing else: no script, no font, no request. A policy in the
// page prevents a browser from loading anything, whatever a server put into the report.
type HTML struct{}

//go:embed page.html
var pageTemplate string

// page holds everything that the template shows.
type page struct {
	audit.Report
	State    string // a class of the page's style: fail, unknown, waived or pass
	Headline string
	Counts   []pageCount
	Groups   []pageGroup
	Findings []pageCheck
	Doubts   []pageDoubt
	Waived   []audit.Result
	Rest     []audit.Result // passed and skipped
	Timeline timeline
	Trust    trust
}

type pageCount struct {
	Verdict audit.Verdict
	N       int
}

type pageGroup struct {
	Target string
	Kind   audit.Kind
	State  audit.Verdict
	Counts []pageCount
}

// pageCheck is one check that failed, on all the targets on which it did.
type pageCheck struct {
	audit.Result // of the first target
	Seen         []audit.Result
	Fixes        []pageFix
}

// pageFix is one remediation and the targets that it is for.
type pageFix struct {
	Targets []string
	Parts   []pagePart
}

// pagePart is text, or lines to paste.
type pagePart struct {
	Paste bool
	Text  string
}

// pageDoubt is one reason why results are unknown.
type pageDoubt struct {
	Target, Reason string
	Checks         []string
}

// Render implements Renderer.
func (HTML) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	t, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return err
	}
	return t.Execute(w, pageOf(r))
}

func pageOf(r audit.Report) page {
	p := page{
		Report:   r,
		Findings: pageChecks(r.Results),
		Doubts:   pageDoubts(r.Results),
		Timeline: timelineOf(r),
		Trust:    trustOf(r),
	}
	p.State, p.Headline = headline(r)
	count := map[audit.Verdict]int{}
	for _, result := range r.Results {
		verdict := verdictOf(result)
		count[verdict]++
		switch verdict {
		case waived:
			p.Waived = append(p.Waived, result)
		case audit.Pass, audit.Skip:
			p.Rest = append(p.Rest, result)
		default: // among the findings and the doubts
		}
	}
	p.Counts = pageCounts(count)
	for _, g := range groupByTarget(r.Results) {
		p.Groups = append(p.Groups, pageGroup{Target: g.target, Kind: g.kind, State: verdictOf(g.results[0]), Counts: pageCounts(g.count)})
	}
	return p
}

func headline(r audit.Report) (state, text string) {
	switch s := r.Summary; {
	case len(r.Results) == 0:
		return "unknown", "Nothing was audited"
	case s.Fail > 0 && s.Unknown > 0:
		return "fail", "Findings, and questions without an answer"
	case s.Fail > 0:
		return "fail", "Findings"
	case s.Unknown > 0:
		return "unknown", "Questions without an answer"
	case s.Waived > 0:
		return "waived", "Clean but for what is waived"
	default:
		return "pass", "Clean"
	}
}

func pageCounts(count map[audit.Verdict]int) []pageCount {
	var counts []pageCount
	for _, verdict := range shownVerdicts() {
		counts = append(counts, pageCount{verdict, count[verdict]})
	}
	return counts
}

// pageChecks joins the failures of each check, the worst check first.
func pageChecks(results []audit.Result) []pageCheck {
	var checks []pageCheck
	for _, result := range worstFirst(results) {
		if verdictOf(result) != audit.Fail {
			continue
		}
		at := slices.IndexFunc(checks, func(c pageCheck) bool { return c.CheckID == result.CheckID })
		if at < 0 {
			at = len(checks)
			checks = append(checks, pageCheck{Result: result})
		}
		check := &checks[at]
		check.Seen = append(check.Seen, result)
		parts := pageParts(result.Remediation)
		same := slices.IndexFunc(check.Fixes, func(f pageFix) bool { return slices.Equal(f.Parts, parts) })
		if same < 0 {
			same = len(check.Fixes)
			check.Fixes = append(check.Fixes, pageFix{Parts: parts})
		}
		check.Fixes[same].Targets = append(check.Fixes[same].Targets, result.Target)
	}
	return checks
}

// pageParts joins neighbouring lines of a remediation that are of the same kind.
func pageParts(remediation audit.Remediation) []pagePart {
	var parts []pagePart
	for _, line := range remediation {
		if last := len(parts) - 1; last >= 0 && parts[last].Paste == line.Paste {
			parts[last].Text += "\n" + line.Text
			continue
		}
		parts = append(parts, pagePart{line.Paste, line.Text})
	}
	return parts
}

func pageDoubts(results []audit.Result) []pageDoubt {
	var doubts []pageDoubt
	for _, result := range worstFirst(results) {
		if verdictOf(result) != audit.Unknown {
			continue
		}
		at := slices.IndexFunc(doubts, func(d pageDoubt) bool { return d.Target == result.Target && d.Reason == result.Evidence })
		if at < 0 {
			at = len(doubts)
			doubts = append(doubts, pageDoubt{Target: result.Target, Reason: result.Evidence})
		}
		doubts[at].Checks = append(doubts[at].Checks, result.CheckID)
	}
	return doubts
}

// WaiverText returns waiverText for the template.
func (page) WaiverText(w *audit.Waiver) string { return waiverText(w) }

// Verdict returns verdictOf for the template.
func (page) Verdict(r audit.Result) audit.Verdict { return verdictOf(r) }

// commonName returns the CN of a name in the form of RFC 2253, or the whole name if it has no CN.
func commonName(name string) string {
	rest, found := strings.CutPrefix(name, "CN=")
	if !found {
		_, rest, found = strings.Cut(name, ",CN=")
	}
	if !found {
		return name
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case ',', '+':
			return rest[:i]
		}
	}
	return rest
}

// cutMiddle cuts the middle out of a text so that it is at most n columns wide in a monospaced
// font.
func cutMiddle(text string, n int) string {
	if columns(text) <= n {
		return text
	}
	runes := []rune(text)
	head, tail := 0, len(runes)
	for used := 0; used+columns(string(runes[head])) <= (n-1)*2/3; head++ {
		used += columns(string(runes[head]))
	}
	for used := columns(string(runes[:head])) + 1; used+columns(string(runes[tail-1])) <= n; tail-- {
		used += columns(string(runes[tail-1]))
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// columns returns an upper bound for the width of a text: it counts every character from the
// Hangul Jamo on as wide.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r >= 0x1100 {
			n++
		}
	}
	return n
}
