// Package report writes audit reports, one format per file.
package report

import (
	"io"

	"github.com/etcdsec/etcdsec/audit"
)

// Renderer writes a report in one format.
type Renderer interface {
	Render(w io.Writer, r audit.Report) error
}

// Format is a renderer and the name that -o knows it by.
type Format struct {
	Name     string
	Renderer Renderer
}

// Formats are all formats, the default first. Colour is for those that are read on a terminal.
func Formats(colour bool) []Format {
	return []Format{
		{Name: "text", Renderer: Text{Colour: colour}},
		{Name: "json", Renderer: JSON{}},
	}
}

// Names are the names of all formats, the default first.
func Names() []string {
	var names []string
	for _, f := range Formats(false) {
		names = append(names, f.Name)
	}
	return names
}
