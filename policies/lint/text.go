package lint

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// WriteText writes the report for people: the matrix, then everything that is wrong, with the reason
// and the fix.
func (p Report) WriteText(w io.Writer) error {
	var b strings.Builder
	width := layout.Width(w)
	writeMatrix(&b, reach.NewMatrix(p.Flows), width)
	for _, v := range reach.MergeViolations(p.Violations) {
		b.WriteString("\n")
		hang(&b, fmt.Sprintf("VIOLATED %-8s ", v.Severity), v.Invariant+": "+v.Text, width)
		for n, by := range v.DecidedBy {
			if n == maxReasons {
				fmt.Fprintf(&b, "         and by %d more\n", len(v.DecidedBy)-n)
				break
			}
			hang(&b, "         by   ", fmt.Sprint(by), width)
		}
		fmt.Fprintf(&b, "         fix  %s\n", v.FixText)
	}
	for _, f := range p.Findings {
		word := "FAIL"
		if f.Verdict == audit.Unknown {
			word = "UNKNOWN"
		}
		b.WriteString("\n")
		hang(&b, fmt.Sprintf("%-8s %-8s ", word, f.Severity), f.CheckID+": "+f.Evidence, width)
		for n, line := range f.Remediation {
			label := "fix "
			if n > 0 {
				label = "    "
			}
			if line.Paste {
				fmt.Fprintf(&b, "         %s %s\n", label, line.Text)
				continue
			}
			hang(&b, "         "+label+" ", line.Text, width)
		}
	}
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n", title)
			for _, line := range lines {
				hang(&b, "  ", line, width)
			}
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
	b.WriteString("\n")
	hang(&b, "", fmt.Sprintf("%s: %d flows, %d violations, %d unknown; judged %s", word, len(p.Flows), len(p.Violations), len(p.Unknown), strings.Join(p.Judged, ", ")), width)
	_, err := io.WriteString(w, replaceControls(b.String()))
	return err
}

// hang writes a text behind a label. Its other lines begin below the first nine columns.
func hang(b *strings.Builder, label, text string, width int) {
	const indent = "         "
	rest := indent[:min(len(indent), len(label))]
	items := strings.Fields(text)
	if len(items) > 0 {
		items[0] = label + items[0]
	}
	for i, line := range layout.WrapItems(items, max(width-len(rest), 0)) {
		if i > 0 {
			line = rest + line
		}
		b.WriteString(line + "\n")
	}
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

func writeMatrix(b *strings.Builder, m reach.Matrix, width int) {
	header := []string{"from", ""}
	for _, p := range m.Ports {
		header = append(header, fmt.Sprint(p))
	}
	table := layout.NewTable(layout.NewWriter(b, width), header...)
	widest := maxNameWidth
	if width > 0 {
		widest = min(widest, width/2)
	}
	for _, r := range m.Rows {
		names := layout.WrapItems(withCommas(firstNames(r.Names)), widest)
		cells := []any{r.Class, names[0]}
		for _, c := range r.Cells {
			cells = append(cells, c)
		}
		table.Row(cells...)
		for _, more := range names[1:] {
			table.Row("", more)
		}
	}
	_ = table.Flush() // a strings.Builder has no errors
	b.WriteString("\n")
	for _, line := range m.Legend() {
		b.WriteString(strings.Join(layout.Wrap(line, width), "\n    ") + "\n")
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

// withCommas ends every name but the last with a comma.
func withCommas(names []string) []string {
	list := slices.Clone(names)
	for i := range len(list) - 1 {
		list[i] += ","
	}
	return list
}
