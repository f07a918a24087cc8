package report

import (
	"encoding/csv"
	"io"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// CSV writes a line for each result, in the report's order, for a spreadsheet.
type CSV struct{}

// Render implements Renderer.
func (CSV) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	out := csv.NewWriter(w)
	rows := [][]string{{
		"target", "kind", "check_id", "verdict", "severity", "title", "evidence", "remediation",
		"references", "fingerprint", "waiver_expires", "waiver_reason", "waiver_owner", "waiver_ticket",
	}}
	for _, result := range r.Results {
		var expires string
		waiver := audit.Waiver{}
		if result.Waiver != nil {
			waiver = *result.Waiver
			expires = waiver.Expires.UTC().Format(time.DateOnly)
		}
		rows = append(rows, []string{
			result.Target, string(result.Kind), result.CheckID, string(verdictOf(result)), string(result.Severity),
			result.Title, result.Evidence, result.Remediation.String(), strings.Join(result.References, "; "),
			result.Fingerprint, expires, waiver.Reason, waiver.Owner, waiver.Ticket,
		})
	}
	for _, row := range rows {
		for i := range row {
			row[i] = escapeFormula(row[i])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// escapeFormula prevents a spreadsheet from reading a cell as a formula: formulas start with =,
// +, - or @, also in full width (OWASP, CSV Injection). The apostrophe marks the cell as text.
func escapeFormula(cell string) string {
	text := strings.TrimLeft(cell, " \n")
	for _, sign := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(text, sign) {
			return "'" + cell
		}
	}
	return cell
}
