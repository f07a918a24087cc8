package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/layout"
)

// Check describes a check in JSON. Fields are only ever added.
type Check struct {
	ID               string            `json:"id"`
	Severity         audit.Severity    `json:"severity"`
	Title            string            `json:"title"`
	Rationale        string            `json:"rationale"`
	Method           string            `json:"method"`
	Remediation      string            `json:"remediation"`
	RemediationLines audit.Remediation `json:"remediation_lines"`
	References       []string          `json:"references"`
}

// DescribeChecks returns the checks for JSON, in order, with remediations that name no target.
func DescribeChecks(checks ...audit.About) []Check {
	described := []Check{} // none is [], not null
	for _, c := range checks {
		remediation := c.Remediation(audit.Place{})
		described = append(described, Check{
			ID: c.ID, Severity: c.Severity, Title: c.Title, Rationale: c.Rationale, Method: c.Method,
			Remediation: remediation.String(), RemediationLines: remediation, References: c.References,
		})
	}
	return described
}

// WriteCheckTable writes a line for each check, with its ID, severity and title.
func WriteCheckTable(w io.Writer, checks []audit.About) error {
	table := layout.NewTable(w, "ID", "SEVERITY", "FAILS WHEN")
	for _, c := range checks {
		table.Row(c.ID, c.Severity, c.Title)
	}
	return table.Flush()
}

// WriteExplanation writes everything about a check, as text.
func WriteExplanation(w io.Writer, c audit.About) error {
	const indent = "  "
	full := layout.Width(w)
	width := max(full-len(indent), 0)
	var fix []string
	for _, line := range c.Remediation(audit.Place{}) {
		if line.Paste {
			fix = append(fix, line.Text)
			continue
		}
		fix = append(fix, layout.Wrap(line.Text, width)...)
	}
	var references []string
	for _, r := range c.References {
		references = append(references, strings.Split(strings.Join(layout.Wrap(r, max(width-len(indent), 0)), "\n"+indent), "\n")...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n%s\n", c.ID, c.Severity, strings.Join(layout.Wrap(c.Title, full), "\n"))
	for _, part := range []struct {
		heading string
		lines   []string
	}{
		{"Why it matters", layout.Wrap(c.Rationale, width)},
		{"How it is tested", layout.Wrap(c.Method, width)},
		{"How to fix it", fix},
		{"References", references},
	} {
		fmt.Fprintf(&b, "\n%s\n", part.heading)
		for _, line := range part.lines {
			b.WriteString(indent + line + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
