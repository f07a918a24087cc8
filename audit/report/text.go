package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Text writes a report for people: one line for a target without findings, and a remediation for
// every finding. The worst target comes first.
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

// linesInOrder bounds the lines for targets that are in order: with them a healthy cluster
// is one screen, and a healthy fleet too.
const linesInOrder = 16

// widestTarget bounds the column: one long path must not push all counts off the screen.
const widestTarget = 56

// Render implements Renderer.
func (t Text) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	var b strings.Builder
	groups := groupByTarget(r.Results)
	target, kind := 0, 0
	for _, g := range groups {
		target, kind = max(target, min(len(g.target), widestTarget)), max(kind, len(g.kind))
	}
	explained := map[string]bool{}
	inOrder := 0
	for _, g := range groups {
		if g.hasOnlyPasses() {
			inOrder++
			if inOrder > linesInOrder {
				continue
			}
		}
		t.writeCounts(&b, g, target, kind)
		t.writeFindings(&b, g, explained)
	}
	if more := inOrder - linesInOrder; more > 0 {
		fmt.Fprintf(&b, "and %s in order\n", counted(more, "more target"))
	}
	if inOrder > 0 {
		b.WriteByte('\n')
	}
	t.writeSummary(&b, r, len(groups))
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Text) writeCounts(b *strings.Builder, g group, target, kind int) {
	var counts []string
	for _, v := range shownVerdicts() {
		n := g.count[v]
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", n, v)
		switch v {
		case audit.Fail:
			text = t.paint(red, text)
		case audit.Unknown, waived:
			text = t.paint(yellow, text)
		case audit.Pass:
			text = t.paint(green, text)
		default: // a skip needs no eye
		}
		counts = append(counts, text)
	}
	fmt.Fprintf(b, "%s  %-*s  %s\n", t.paint(bold, fmt.Sprintf("%-*s", target, g.target)), kind, g.kind, strings.Join(counts, ", "))
}

// writeFindings writes what is wrong with a target and what to do. Only the first finding of a
// check says why it matters.
func (t Text) writeFindings(b *strings.Builder, g group, explained map[string]bool) {
	for i, r := range g.results {
		switch verdictOf(r) {
		case audit.Fail:
			fmt.Fprintf(b, "\n  %s  %s: %s\n", t.paint(red, "FAIL "+string(r.Severity)), t.paint(bold, r.CheckID), r.Title)
			writeField(b, "seen", r.Evidence)
			if !explained[r.CheckID] {
				writeField(b, "why", r.Rationale)
			}
			writeRemediation(b, "fix", r.Remediation)
			if !explained[r.CheckID] {
				writeList(b, "see", r.References)
			}
			explained[r.CheckID] = true
		case audit.Unknown:
			if ids := sameDoubt(g.results, i); len(ids) > 0 {
				b.WriteString("\n  " + t.paint(yellow, "UNKNOWN") + "\n")
				writeList(b, "what", ids)
				writeField(b, "why", r.Evidence)
			}
		case waived:
			fmt.Fprintf(b, "\n  %s  %s: %s\n", t.paint(yellow, "WAIVED "+string(r.Severity)), t.paint(bold, r.CheckID), r.Title)
			writeField(b, "seen", r.Evidence)
			writeField(b, "by", waiverText(r.Waiver))
		default: // the counts say enough
		}
	}
	if !g.hasOnlyPasses() {
		b.WriteByte('\n')
	}
}

// sameDoubt returns the unknown checks with the same reason as the one at i, if that is the
// first: a target that is down is reported once, not once for each check.
func sameDoubt(results []audit.Result, i int) []string {
	var ids []string
	for j, r := range results {
		if verdictOf(r) != audit.Unknown || r.Evidence != results[i].Evidence {
			continue
		}
		if j < i {
			return nil
		}
		ids = append(ids, r.CheckID)
	}
	return ids
}

// lineWidth is the width of a terminal. Lines to paste are never wrapped.
const lineWidth = 100

func writeField(b *strings.Builder, name, text string) {
	writeLines(b, name, wrap(strings.Fields(text)))
}

func writeRemediation(b *strings.Builder, name string, r audit.Remediation) {
	var lines []string
	for _, line := range r {
		if line.Paste {
			lines = append(lines, line.Text)
			continue
		}
		lines = append(lines, wrap(strings.Fields(line.Text))...)
	}
	writeLines(b, name, lines)
}

// writeList writes a field of items. It wraps lines only between items.
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

// wrap joins words to lines of the remaining width.
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
	case s.Waived > 0:
		verdict = t.paint(yellow, "clean but for what is waived")
	}
	fmt.Fprintf(b, "%s: %s, %s: %d pass, %d fail, %d unknown, %d skip", verdict,
		counted(targets, "target"), counted(len(r.Results), "result"), s.Pass, s.Fail, s.Unknown, s.Skip)
	if s.Waived > 0 {
		fmt.Fprintf(b, ", %d waived", s.Waived)
	}
	b.WriteByte('\n')
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
