package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// printFindings shortens an audit's JSON to two lines a finding, so that all of them fit
// one screen.
func (d *demo) printFindings(reportJSON string) error {
	var report struct {
		Results []struct {
			CheckID     string `json:"check_id"`
			Verdict     string `json:"verdict"`
			Severity    string `json:"severity"`
			Evidence    string `json:"evidence"`
			Remediation string `json:"remediation"`
		} `json:"results"`
	}
	if err := json.Unmarshal([]byte(reportJSON), &report); err != nil {
		return fmt.Errorf("reading the audit's report: %w", err)
	}
	d.print("An etcd without TLS and client certificates, beside it:\n")
	for _, r := range report.Results {
		if r.Verdict != "fail" {
			continue
		}
		d.print("FAIL %-8s %s: %s", r.Severity, r.CheckID, shorten(r.Evidence, 75))
		d.print("     fix      %s", shorten(fixLine(r.Remediation), 100))
	}
	d.print("\nWhy each matters, and every line to change: %s\n", shown(filepath.Join(d.dir, "audit-weak.txt")))
	return nil
}

// fixLine is the first line of a remediation that can be pasted; the one before it says what it does.
func fixLine(remediation string) string {
	lines := strings.Split(remediation, "\n")
	return lines[min(1, len(lines)-1)]
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
