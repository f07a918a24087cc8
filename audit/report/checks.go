package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/etcdsec/etcdsec/audit"
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
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tSEVERITY\tFAILS WHEN") // Flush gives the error
	for _, c := range checks {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", c.ID, c.Severity, c.Title)
	}
	return table.Flush()
}

// ExplainCheck returns everything about a check, as text.
func ExplainCheck(c audit.About) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n%s\n", c.ID, c.Severity, c.Title)
	for _, part := range []struct{ heading, text string }{
		{"Why it matters", c.Rationale},
		{"How it is tested", c.Method},
		{"How to fix it", c.Remediation(audit.Place{}).String()},
		{"References", strings.Join(c.References, "\n")},
	} {
		fmt.Fprintf(&b, "\n%s\n", part.heading)
		for line := range strings.SplitSeq(part.text, "\n") {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}
