package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
)

// auditCheck is a check in the JSON of list and explain. Fields are only ever added.
type auditCheck struct {
	ID               string            `json:"id"`
	Severity         audit.Severity    `json:"severity"`
	Title            string            `json:"title"`
	Rationale        string            `json:"rationale"`
	Method           string            `json:"method"`
	Remediation      string            `json:"remediation"`
	RemediationLines audit.Remediation `json:"remediation_lines"`
	References       []string          `json:"references"`
}

func newAuditCheck(c audit.About) auditCheck {
	remediation := c.Remediation(audit.Place{})
	return auditCheck{
		ID:               c.ID,
		Severity:         c.Severity,
		Title:            c.Title,
		Rationale:        c.Rationale,
		Method:           c.Method,
		Remediation:      remediation.String(),
		RemediationLines: remediation,
		References:       c.References,
	}
}

func newAuditListCommand(a *app) *cobra.Command {
	var format string
	var selection checkSelection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the checks",
		Long:  "List every check: its ID, which never changes, its severity and what is wrong when it fails.",
		Example: `  etcdsec audit list
  etcdsec audit list --checks 'client-*,peer-*' --skip peer-plaintext
  etcdsec audit list -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			selected, err := selectChecks(selection, everyCheck())
			if err != nil {
				return err
			}
			if format == "json" {
				checks := []auditCheck{}
				for _, c := range selected {
					checks = append(checks, newAuditCheck(c))
				}
				return a.printJSON(checks)
			}
			table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "ID\tSEVERITY\tFAILS WHEN") // Flush gives the error
			for _, c := range selected {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", c.ID, c.Severity, c.Title)
			}
			return table.Flush()
		},
	}
	selection.addFlags(cmd)
	outputFlag(cmd, &format, "text", "json")
	return cmd
}
