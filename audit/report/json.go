package report

import (
	"encoding/json"
	"io"

	"github.com/etcdsec/etcdsec/audit"
)

// JSON writes the report as one indented object. Its fields are the contract with whoever reads it.
type JSON struct{}

// Render implements Renderer.
func (JSON) Render(w io.Writer, r audit.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
