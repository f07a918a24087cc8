package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/layout"
)

// WriteDiff writes the changes between two reports as a table, and then a line with the counts.
func WriteDiff(w io.Writer, d audit.Diff) error {
	table := layout.NewTable(w, "CHANGE", "SEVERITY", "CHECK", "TARGET", "WAS", "NOW", "SEEN")
	for _, c := range d.Changes {
		table.Row(c.Change, line(string(c.Severity)), line(c.CheckID), line(onHost(c.Target, c.Host)), c.Was, c.Now, line(summarizeChange(c)))
	}
	if len(d.Changes) > 0 {
		if err := table.Flush(); err != nil {
			return err
		}
	}
	s := d.Summary
	verdict := "nothing is worse"
	switch {
	case slices.ContainsFunc(d.Changes, audit.Difference.Worse):
		verdict = "new findings"
	case slices.ContainsFunc(d.Changes, audit.Difference.Lost):
		verdict = "less is known than before"
	}
	summary := fmt.Sprintf("%s: %d new, %d changed, %d unknown, %d unasked, %d unchanged, %d fixed",
		verdict, s.New, s.Changed, s.Unknown, s.Unasked, s.Unchanged, s.Fixed)
	_, err := fmt.Fprintln(w, layout.Reflow(summary, layout.Width(w)))
	return err
}

// summarizeChange returns one line: the codes that were added and removed or, if the codes are
// the same, the evidence.
func summarizeChange(d audit.Difference) string {
	var codes []string
	for _, code := range d.AddedCodes {
		codes = append(codes, "+"+code)
	}
	for _, code := range d.RemovedCodes {
		codes = append(codes, "-"+code)
	}
	if len(codes) > 0 {
		return strings.Join(codes, " ")
	}
	const most = 100
	line := strings.Join(strings.Fields(d.Evidence), " ")
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return line
}
