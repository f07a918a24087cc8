package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// Text returns the report for people: the matrix, then everything that is wrong, with the reason
// and the fix.
func (p Report) Text() string {
	var b strings.Builder
	writeMatrix(&b, reach.NewMatrix(p.Flows))
	for _, v := range reach.MergeViolations(p.Violations) {
		fmt.Fprintf(&b, "\nVIOLATED %-8s %s: %s\n", v.Severity, v.Invariant, v.Text)
		for n, by := range v.DecidedBy {
			if n == maxReasons {
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
	list("Unknown", p.Unknown)
	var skipped []string
	for _, s := range p.Skipped {
		skipped = append(skipped, fmt.Sprintf("%s: %s %s: %s", s.File, s.Kind, s.Name, s.Why))
	}
	list("Skipped", skipped)
	list("Assumed", p.Assumed)
	word := "it holds"
	switch {
	case len(p.Violations) > 0:
		word = "IT DOES NOT HOLD"
	case !p.Holds:
		word = "IT IS UNKNOWN WHETHER IT HOLDS"
	}
	fmt.Fprintf(&b, "\n%s: %d flows, %d violations, %d unknown; judged %s\n", word, len(p.Flows), len(p.Violations), len(p.Unknown), strings.Join(p.Judged, ", "))
	return replaceControls(b.String())
}

// maxReasons limits the rules that the text names for one violation. JSON has all of them.
const maxReasons = 6

// replaceControls replaces the characters with which a name in a file could control a terminal.
func replaceControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// maxNameWidth is the width of the column of senders. A longer list continues on the next line.
const maxNameWidth = 44

func writeMatrix(b *strings.Builder, m reach.Matrix) {
	line := func(class reach.Class, names string, cells []string) {
		columns := []string{fmt.Sprintf("%-10s", class), fmt.Sprintf("%-*s", maxNameWidth, names)}
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

// firstNames shortens the names of a row. There are many if each Pod is denied by a policy of its own.
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
		case len(*last)+1+len(name) > maxNameWidth:
			lines = append(lines, name)
		default:
			*last += " " + name
		}
	}
	return lines
}
