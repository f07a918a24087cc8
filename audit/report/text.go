package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/layout"
)

// Text writes a report for people: one line for a target without findings, and a remediation for
// every finding. The worst target comes first. Lines are as wide as those of the writer (see package layout).
type Text struct {
	Colour bool // ANSI colours, for a terminal
	width  int  // of lines; Render sets it
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
	t.width = layout.ProseWidth(w)
	var b strings.Builder
	groups := groupByTarget(r.Results)
	targets := len(groups)
	groups = joinDoubts(groups)
	target, kind := 0, 0
	for _, g := range groups {
		target, kind = max(target, min(len(g.target), widestTarget, t.width/2)), max(kind, len(g.kind))
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
	t.writeSummary(&b, r, targets)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Text) writeCounts(b *strings.Builder, g group, target, kind int) {
	var counts, plain []string
	for _, v := range shownVerdicts() {
		n := g.count[v]
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", n, v)
		plain = append(plain, text)
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
	head := fmt.Sprintf("%-*s", target, g.target)
	between := fmt.Sprintf("  %-*s  ", kind, g.kind)
	if used := utf8.RuneCountInString(head + between + strings.Join(plain, ", ")); used > t.width {
		between = strings.TrimRight(between, " ") + "\n    "
	}
	b.WriteString(t.paint(bold, head) + between + strings.Join(counts, ", ") + "\n")
}

// writeFindings writes what is wrong with a target and what to do. Only the first finding of a
// check says why it matters.
func (t Text) writeFindings(b *strings.Builder, g group, explained map[string]bool) {
	for i, r := range g.results {
		switch verdictOf(r) {
		case audit.Fail:
			t.writeTitle(b, t.paint(red, "FAIL "+string(r.Severity)), r)
			t.writeField(b, "seen", r.Evidence)
			if !explained[r.CheckID] {
				t.writeField(b, "why", r.Rationale)
			}
			t.writeRemediation(b, "fix", r.Remediation)
			if !explained[r.CheckID] {
				t.writeList(b, "see", r.References)
			}
			explained[r.CheckID] = true
		case audit.Unknown:
			if ids := sameDoubt(g.results, i); len(ids) > 0 {
				b.WriteString("\n  " + t.paint(yellow, "UNKNOWN") + "\n")
				if len(g.alike) > 0 {
					t.writeList(b, "at", firstOf(g.alike))
				}
				t.writeList(b, "what", ids)
				t.writeField(b, "why", r.Evidence)
			}
		case waived:
			t.writeTitle(b, t.paint(yellow, "WAIVED "+string(r.Severity)), r)
			t.writeField(b, "seen", r.Evidence)
			t.writeField(b, "by", waiverText(r.Waiver))
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

// writeTitle writes the first line of a finding: its label, its check, and what is wrong.
func (t Text) writeTitle(b *strings.Builder, label string, r audit.Result) {
	items := append([]string{label, " " + t.paint(bold, r.CheckID) + ":"}, strings.Fields(r.Title)...)
	for i, line := range layout.WrapItems(items, t.width-len("    ")) {
		if i == 0 {
			b.WriteString("\n  " + line + "\n")
			continue
		}
		b.WriteString("    " + strings.TrimLeft(line, " ") + "\n")
	}
}

func (t Text) writeField(b *strings.Builder, name, text string) {
	writeLines(b, name, t.wrap(strings.Fields(text)))
}

func (t Text) writeRemediation(b *strings.Builder, name string, r audit.Remediation) {
	var lines []string
	for _, line := range r {
		if line.Paste {
			lines = append(lines, line.Text)
			continue
		}
		lines = append(lines, t.wrap(strings.Fields(line.Text))...)
	}
	writeLines(b, name, lines)
}

// writeList writes a field of items. It wraps lines only between items.
func (t Text) writeList(b *strings.Builder, name string, items []string) {
	writeLines(b, name, t.wrap(strings.Split(strings.Join(items, ",\n"), "\n")))
}

const indent = "          "

func writeLines(b *strings.Builder, name string, lines []string) {
	label := fmt.Sprintf("    %-*s", len(indent)-len("    "), name+":")
	for _, line := range lines {
		b.WriteString(label + line + "\n")
		label = indent
	}
}

// wrap joins words to lines of the width that is left of a field. Lines to paste are never wrapped.
func (t Text) wrap(words []string) []string {
	return layout.WrapItems(words, t.width-len(indent))
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
	text := fmt.Sprintf("%s: %s, %s: %d pass, %d fail, %d unknown, %d skip", verdict,
		counted(targets, "target"), counted(len(r.Results), "result"), s.Pass, s.Fail, s.Unknown, s.Skip)
	if s.Waived > 0 {
		text += fmt.Sprintf(", %d waived", s.Waived)
	}
	b.WriteString(strings.Join(layout.Wrap(text, t.width), "\n") + "\n")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
