package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/layout"
)

// CensusJSON writes a census with the report of its checks, as one object. A program that reads
// audit reports can read this one too.
type CensusJSON struct{ Census audit.Census }

// Render implements Renderer.
func (c CensusJSON) Render(w io.Writer, r audit.Report) error {
	return WriteJSON(w, struct {
		SchemaVersion int `json:"schema_version"`
		audit.Census
		audit.Report
	}{r.SchemaVersion, c.Census, r})
}

// CensusText writes a census as a table, and then the report of its checks.
type CensusText struct {
	Census audit.Census
	Text   Text
}

// Render implements Renderer.
func (c CensusText) Render(w io.Writer, r audit.Report) error {
	var b strings.Builder
	text := layout.NewWriter(&b, layout.Width(w))
	fmt.Fprintf(&b, "%s at revision %d: %s", line(c.Census.Source), c.Census.Revision, counted(int(c.Census.Objects), "object"))
	if c.Census.Outside > 0 {
		fmt.Fprintf(&b, ", and %s that no API server uses", counted(int(c.Census.Outside), "key"))
	}
	b.WriteString("\n")
	if c.Census.Snapshot != nil {
		fmt.Fprintf(&b, "%s\n", fileText(c.Census.Snapshot))
	}
	if !c.Census.Complete {
		fmt.Fprintf(&b, "%s %s\n", c.Text.paint(red, "not complete:"), line(c.Census.Reason))
	}
	for _, note := range c.Census.Notes {
		fmt.Fprintf(&b, "note: %s\n", line(note))
	}
	if n := c.Census.Copies.Uncompared; n > 0 {
		fmt.Fprintf(&b, "note: the ciphertext of %s was not compared with the others: there are too many\n", counted(int(n), "object"))
	}
	head := layout.Reflow(b.String(), layout.Width(w))
	b.Reset()
	b.WriteString(head + "\n")
	table := layout.NewTable(text, "RESOURCE", "OBJECTS", "WRITTEN BY")
	for _, resource := range c.Census.Resources {
		name, objects := resource.Resource, fmt.Sprint(resource.Objects)
		for _, written := range writtenBy(resource) {
			table.Row(name, objects, written)
			name, objects = "", ""
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	b.WriteString("\n")
	if c.Census.Residue != nil {
		if err := residueText(text, c.Census.Residue); err != nil {
			return err
		}
		b.WriteString("\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	return c.Text.Render(w, r)
}

// writtenBy returns a line for each writer of a resource, with the number of objects if there are
// several writers.
func writtenBy(r audit.ResourceCensus) []string {
	var lines []string
	add := func(n int64, what string) {
		switch n {
		case 0:
		case r.Objects:
			lines = append(lines, what)
		default:
			lines = append(lines, fmt.Sprintf("%s: %d", what, n))
		}
	}
	for _, w := range r.Writers {
		what := w.String()
		if w.InDoubt > 0 {
			what += fmt.Sprintf(" (%d of them perhaps by a key whose name continues after a colon, or ends before one)", w.InDoubt)
		}
		add(w.Objects, what)
	}
	add(r.Broken, "broken")
	plaintext := "plaintext"
	if r.Bookkeeping {
		plaintext += ", as always"
	}
	add(r.Plaintext, plaintext)
	return lines
}
