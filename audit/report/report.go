// Package report writes audit reports, one format per file. The same report always gives the
// same bytes.
package report

import (
	"io"

	"github.com/etcdsec/etcdsec/audit"
)

// Renderer writes a report in one format.
type Renderer interface {
	Render(w io.Writer, r audit.Report) error
}

// Format is a renderer and its name for -o.
type Format struct {
	Name     string
	Summary  string // what it is for, in a few words
	Renderer Renderer
}

// Formats returns all formats, the default first. Colour applies to the formats for a terminal.
func Formats(colour bool) []Format {
	return []Format{
		{"text", "for people, on a terminal", Text{Colour: colour}},
		{"json", "everything, for programs", JSON{}},
		{"sarif", "SARIF 2.1.0, for code scanning", SARIF{}},
		{"junit", "JUnit XML, for a CI", JUnit{}},
		{"html", "one page, for people", HTML{}},
		{"markdown", "for a ticket or a job summary", Markdown{}},
		{"csv", "for a spreadsheet", CSV{}},
		{"prometheus", "for node_exporter's textfile collector", Prometheus{}},
		{"openreports", "Report of openreports.io/v1alpha1", OpenReport()},
		{"policyreport", "PolicyReport of wgpolicyk8s.io/v1alpha2", WGPolicyReport()},
		{"oscal", "NIST OSCAL assessment results", OSCAL{}},
		{"oscal-plan", "NIST OSCAL assessment plan of the same audit", OSCALPlan{}},
		{"cklb", "checklist for STIG Viewer 3", CKLB{}},
	}
}

// Names returns the names of all formats, the default first.
func Names() []string {
	var names []string
	for _, f := range Formats(false) {
		names = append(names, f.Name)
	}
	return names
}
