package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
)

// finding is a result of the audit's JSON report.
type finding struct {
	CheckID     string `json:"check_id"`
	Verdict     string `json:"verdict"`
	Severity    string `json:"severity"`
	Evidence    string `json:"evidence"`
	Remediation []line `json:"remediation_lines"`
}

// line is one line of a remediation.
type line struct {
	Text  string `json:"text"`
	Paste bool   `json:"paste"`
}

// maxFindings is the number of findings that fit on one screen.
const maxFindings = 8

// printFindings shortens an audit's JSON to two lines for each finding. What is to be pasted is whole.
func (d *demo) printFindings(reportJSON string) error {
	var report struct {
		Results []finding `json:"results"`
	}
	if err := json.Unmarshal([]byte(reportJSON), &report); err != nil {
		return fmt.Errorf("reading the audit's report: %w", err)
	}
	d.print("For comparison, an etcd without TLS and client certificates:\n")
	failed := slices.DeleteFunc(report.Results, func(r finding) bool { return r.Verdict != "fail" })
	worst := []string{"critical", "high", "medium", "low"}
	slices.SortStableFunc(failed, func(a, b finding) int {
		return cmp.Compare(slices.Index(worst, a.Severity), slices.Index(worst, b.Severity))
	})
	for _, r := range failed[:min(len(failed), maxFindings)] {
		d.print("FAIL %-8s %s: %s", r.Severity, r.CheckID, shorten(r.Evidence, 75))
		d.print("     fix      %s", fixLine(r.Remediation))
	}
	if more := len(failed) - maxFindings; more > 0 {
		d.print("and %d more", more)
	}
	d.print("\nWhy each matters, and every line to change: %s\n", displayPath(filepath.Join(d.dir, "audit-weak.txt")))
	return nil
}

// fixLine returns the first line of a remediation that can be pasted, or the beginning of its text if
// there is none.
func fixLine(remediation []line) string {
	for _, l := range remediation {
		if l.Paste {
			return l.Text
		}
	}
	if len(remediation) > 0 {
		return shorten(remediation[0].Text, 100)
	}
	return ""
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
