package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Text writes a report for people: one line for a target that is in order, and what to do
// for every finding. The worst target comes first.
type Text struct {
	Colour bool // ANSI colours, for a terminal
}

const (
	red    = "31"
	yellow = "33"
	green  = "32"
	bold   = "1"
)

func (t Text) paint(code, s string) string {
	if !t.Colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// group is what was found out about one target.
type group struct {
	target  string
	kind    audit.Kind
	results []audit.Result
	count   map[audit.Verdict]int
}

// inOrder says whether the target needs no more than its line.
func (g group) inOrder() bool { return g.count[audit.Fail]+g.count[audit.Unknown] == 0 }

// Render implements Renderer.
func (t Text) Render(w io.Writer, r audit.Report) error {
	var b strings.Builder
	groups := groupByTarget(r.Results)
	width := 0
	for _, g := range groups {
		width = max(width, len(g.target))
	}
	for _, g := range groups {
		t.writeGroup(&b, g, width)
	}
	if n := len(groups); n > 0 && groups[n-1].inOrder() {
		b.WriteByte('\n')
	}
	t.writeSummary(&b, r, len(groups))
	_, err := io.WriteString(w, b.String())
	return err
}

func groupByTarget(results []audit.Result) []group {
	var groups []group
	for _, r := range results {
		at := slices.IndexFunc(groups, func(g group) bool { return g.target == r.Target && g.kind == r.Kind })
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{target: r.Target, kind: r.Kind, count: map[audit.Verdict]int{}})
		}
		groups[at].results = append(groups[at].results, r)
		groups[at].count[r.Verdict]++
	}
	for _, g := range groups {
		slices.SortStableFunc(g.results, func(a, b audit.Result) int { return cmp.Compare(badness(a), badness(b)) })
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(badness(a.results[0]), badness(b.results[0])) })
	return groups
}

// badness is smaller the worse: failures by severity, then unknown, then the rest.
func badness(r audit.Result) int {
	switch r.Verdict {
	case audit.Fail:
		return r.Severity.Rank()
	case audit.Unknown:
		return len(audit.Severities())
	default:
		return len(audit.Severities()) + 1
	}
}

func (t Text) writeGroup(b *strings.Builder, g group, width int) {
	var counts []string
	for _, v := range []struct {
		verdict audit.Verdict
		colour  string
	}{{audit.Fail, red}, {audit.Unknown, yellow}, {audit.Pass, green}, {audit.Skip, ""}} {
		n := g.count[v.verdict]
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", n, v.verdict)
		if v.colour != "" {
			text = t.paint(v.colour, text)
		}
		counts = append(counts, text)
	}
	fmt.Fprintf(b, "%s  %-7s  %s\n", t.paint(bold, fmt.Sprintf("%-*s", width, g.target)), g.kind, strings.Join(counts, ", "))
	for i, r := range g.results {
		switch r.Verdict {
		case audit.Fail:
			fmt.Fprintf(b, "\n  %s  %s: %s\n", t.paint(red, "FAIL "+string(r.Severity)), t.paint(bold, r.CheckID), r.Title)
			writeField(b, "seen", r.Evidence)
			writeField(b, "why", r.Rationale)
			writeField(b, "fix", r.Remediation)
			writeList(b, "see", r.References)
		case audit.Unknown:
			if ids := sameDoubt(g.results, i); len(ids) > 0 {
				b.WriteString("\n  " + t.paint(yellow, "UNKNOWN") + "\n")
				writeList(b, "what", ids)
				writeField(b, "why", r.Evidence)
			}
		default: // the counts say enough
		}
	}
	if !g.inOrder() {
		b.WriteByte('\n')
	}
}

// sameDoubt are the unknown checks with the reason of the one at i, if that is the first:
// a target that is down is said once, not once for each check.
func sameDoubt(results []audit.Result, i int) []string {
	var ids []string
	for j, r := range results {
		if r.Verdict != audit.Unknown || r.Evidence != results[i].Evidence {
			continue
		}
		if j < i {
			return nil
		}
		ids = append(ids, r.CheckID)
	}
	return ids
}

// lineWidth is that of a terminal. Lines to paste are never broken.
const lineWidth = 100

func writeField(b *strings.Builder, name, text string) {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if isPasted(line) {
			lines = append(lines, line)
			continue
		}
		lines = append(lines, wrap(strings.Fields(line))...)
	}
	writeLines(b, name, lines)
}

// writeList writes a field of items, none of which is broken.
func writeList(b *strings.Builder, name string, items []string) {
	writeLines(b, name, wrap(strings.Split(strings.Join(items, ",\n"), "\n")))
}

const indent = "          "

func writeLines(b *strings.Builder, name string, lines []string) {
	label := fmt.Sprintf("    %-*s", len(indent)-len("    "), name+":")
	for _, line := range lines {
		b.WriteString(label + line + "\n")
		label = indent
	}
}

// isPasted says whether a line of a remediation is to be copied as it is.
func isPasted(line string) bool {
	for _, prefix := range []string{"--", "etcdctl ", "etcdsec ", "kubeadm ", "openssl "} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// wrap joins words to lines of the width that is left.
func wrap(words []string) []string {
	var lines []string
	var line string
	for _, word := range words {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > lineWidth-len(indent):
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

func (t Text) writeSummary(b *strings.Builder, r audit.Report, targets int) {
	s := r.Summary
	verdict := t.paint(green, "clean")
	switch {
	case len(r.Results) == 0:
		verdict = t.paint(yellow, "nothing was audited")
	case s.Fail > 0 && s.Unknown > 0:
		verdict = t.paint(red, "findings, and questions without an answer")
	case s.Fail > 0:
		verdict = t.paint(red, "findings")
	case s.Unknown > 0:
		verdict = t.paint(yellow, "questions without an answer")
	}
	fmt.Fprintf(b, "%s: %s, %s: %d pass, %d fail, %d unknown, %d skip\n", verdict,
		counted(targets, "target"), counted(len(r.Results), "result"), s.Pass, s.Fail, s.Unknown, s.Skip)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
