package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// matrixRow is the senders of one class whose outcome is the same.
type matrixRow struct {
	class reach.Class
	names []string
	cells []string // one for each port
}

// printProof writes the matrix, then everything that is wrong with its reason and what fixes it.
func (a *app) printProof(p proof) error {
	var b strings.Builder
	writeMatrix(&b, p.Flows)
	for _, v := range togetherViolated(p.Violations) {
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
	_, err := fmt.Fprint(a.stdout, legible(b.String()))
	return err
}

// togetherViolated puts invariants into one paragraph that are violated by the same senders
// for the same reason.
func togetherViolated(violations []reach.Violation) []reach.Violation {
	var list []reach.Violation
	for _, v := range violations {
		same := slices.IndexFunc(list, func(w reach.Violation) bool {
			return w.FixText == v.FixText && slices.Equal(w.From, v.From) && slices.Equal(w.To, v.To) && slices.Equal(w.DecidedBy, v.DecidedBy)
		})
		if same < 0 {
			list = append(list, v)
			continue
		}
		w := &list[same]
		w.Invariant += ", " + v.Invariant
		w.Ports = slices.Concat(w.Ports, v.Ports)
		w.Text = w.Sentence()
	}
	return list
}

// mostReasons bounds the rules that are named for one violation; JSON has all of them.
const mostReasons = 6

// legible takes away what a name in somebody's file could do to a terminal.
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

func writeMatrix(b *strings.Builder, flows []reach.Flow) {
	var ports []uint16
	for _, f := range flows {
		if !slices.Contains(ports, f.Port) {
			ports = append(ports, f.Port)
		}
	}
	line := func(class reach.Class, names string, cells []string) {
		columns := []string{fmt.Sprintf("%-10s", class), fmt.Sprintf("%-*s", widestNames, names)}
		for _, c := range cells {
			columns = append(columns, fmt.Sprintf("%-11s", c))
		}
		b.WriteString(strings.TrimRight(strings.Join(columns, "  "), " ") + "\n")
	}
	var header []string
	for _, p := range ports {
		header = append(header, fmt.Sprint(p))
	}
	line("from", "", header)
	for _, r := range matrixRows(flows, ports) {
		names := wrapped(firstNames(r.names))
		line(r.class, names[0], r.cells)
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

// wrapped are the lines of a list of names.
func wrapped(names []string) []string {
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

func matrixRows(flows []reach.Flow, ports []uint16) []matrixRow {
	var rows []matrixRow
	for start := 0; start < len(flows); {
		end := start
		for end < len(flows) && flows[end].From == flows[start].From && flows[end].FromClass == flows[start].FromClass {
			end++
		}
		row := matrixRow{class: flows[start].FromClass, names: []string{flows[start].From}}
		for _, p := range ports {
			row.cells = append(row.cells, matrixCell(flows[start:end], p))
		}
		same := slices.IndexFunc(rows, func(r matrixRow) bool { return r.class == row.class && slices.Equal(r.cells, row.cells) })
		if same >= 0 {
			rows[same].names = append(rows[same].names, row.names...)
		} else {
			rows = append(rows, row)
		}
		start = end
	}
	return rows
}

// matrixCell sums up the flows of one sender to one port of all members: the worst of them,
// and of how many members it is so.
func matrixCell(flows []reach.Flow, port uint16) string {
	words := []string{"OPEN", "CUT", "?", "yes", "-", "local"}
	members := map[string][]string{} // by word
	all := map[string]bool{}
	for _, f := range flows {
		if f.Port != port {
			continue
		}
		word := matrixWord(f)
		all[f.To] = true
		if !slices.Contains(members[word], f.To) {
			members[word] = append(members[word], f.To)
		}
	}
	for _, w := range words {
		n := len(members[w])
		switch {
		case n == 0:
		case n < len(all) && slices.Index(words, w) <= 2:
			return fmt.Sprintf("%s %d of %d", w, n, len(all))
		default:
			return w
		}
	}
	return ""
}

func matrixWord(f reach.Flow) string {
	switch {
	case f.Unknown != "":
		return "?"
	case f.Unavoidable:
		return "local"
	case f.Allowed && f.Wanted:
		return "yes"
	case f.Allowed:
		return "OPEN"
	case f.Wanted:
		return "CUT"
	}
	return "-"
}
