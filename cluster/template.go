package cluster

import (
	_ "embed"
	"fmt"
	"io"
	"text/template"
)

//go:embed cluster.yaml.tmpl
var specTemplate string

// WriteTemplate writes a commented spec for a runtime. It is valid without changes.
func WriteTemplate(w io.Writer, r Runtime) error {
	t, err := template.New("cluster.yaml").Parse(specTemplate)
	if err != nil {
		return fmt.Errorf("reading the built-in spec: %w", err)
	}
	return t.Execute(w, map[string]any{"Runtime": r, "StaticPod": r == StaticPod, "Systemd": r == Systemd, "Hosted": r == Hosted})
}
