package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// Text returns the report for people: the matrix, then everything that is wrong with its reason
// and what fixes it.
func (p Report) Text() string {
	var b strings.Builder
	writeMatrix(&b, reach.NewMatrix(p.Flows))
	for _, v := range reach.MergeViolations(p.Violations) {
		fmt.Fprintf(&b, "\nVIOLATED %-8s %s: %s\n", v.Severity, v.Invariant, v.Text)
		for n, by := range v.DecidedBy {
			if n == mostReasons {
				fmt.Fprintf(&b, "         and by %d more\n", len(v.DecidedBy)-n)
				break
			}
			fmt.Fprintf(&b, "         by   %s\n", by)
		}
		fmt.Fprintf(&b, "         fix  %s\n", v.FixText)
	}
	for _, f := range p.Findings {
		word := "FAIL"
		if f.Verdict == audit.Unknown {
			word = "UNKNOWN"
		}
		fmt.Fprintf(&b, "\n%-8s %-8s %s: %s\n", word, f.Severity, f.CheckID, f.Evidence)
		for n, line := range f.Remediation {
			label := "fix "
			if n > 0 {
				label = "    "
			}
			fmt.Fprintf(&b, "         %s %s\n", label, line.Text)
		}
	}
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n  %s\n", title, strings.Join(lines, "\n  "))
		}
	}
	list("Not known", p.Unknown)
	var skipped []string
	for _, s := range p.Skipped {
		skipped = append(skipped, fmt.Sprintf("%s: %s %s: %s", s.File, s.Kind, s.Name, s.Why))
	}
	list("Skipped", skipped)
	list("Taken for granted", p.Assumed)
	word := "it holds"
	switch {
	case len(p.Violations) > 0:
		word = "IT DOES NOT HOLD"
	case !p.Holds:
		word = "IT COULD NOT BE TOLD"
	}
	fmt.Fprintf(&b, "\n%s: %d flows, %d violations, %d not known; judged %s\n", word, len(p.Flows), len(p.Violations), len(p.Unknown), strings.Join(p.Judged, ", "))
	return legible(b.String())
}

// mostReasons bounds the rules that are named for one violation; JSON has all of them.
const mostReasons = 6

// legible replaces characters by which a name in a file could control a terminal.
func legible(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// widestNames bounds the column of senders; what is longer goes on below.
const widestNames = 44

func writeMatrix(b *strings.Builder, m reach.Matrix) {
	line := func(class reach.Class, names string, cells []string) {
		columns := []string{fmt.Sprintf("%-10s", class), fmt.Sprintf("%-*s", widestNames, names)}
		for _, c := range cells {
			columns = append(columns, fmt.Sprintf("%-11s", c))
		}
		b.WriteString(strings.TrimRight(strings.Join(columns, "  "), " ") + "\n")
	}
	var header []string
	for _, p := range m.Ports {
		header = append(header, fmt.Sprint(p))
	}
	line("from", "", header)
	for _, r := range m.Rows {
		names := wrap(firstNames(r.Names))
		line(r.Class, names[0], r.Cells)
		for _, more := range names[1:] {
			line("", more, nil)
		}
	}
}

// firstNames bounds a row: where each Pod is denied by a policy of its own, they are many.
func firstNames(names []string) []string {
	const most = 12
	if len(names) <= most {
		return names
	}
	return append(slices.Clone(names[:most-1]), fmt.Sprintf("and %d more", len(names)-most+1))
}

// wrap breaks a list of names into lines.
func wrap(names []string) []string {
	lines := []string{""}
	for n, name := range names {
		if n < len(names)-1 {
			name += ","
		}
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = name
		case len(*last)+1+len(name) > widestNames:
			lines = append(lines, name)
		default:
			*last += " " + name
		}
	}
	return lines
}
