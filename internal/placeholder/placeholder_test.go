package placeholder_test

import (
	"errors"
	"strings"
	"testing"
	"text/template"

	"github.com/etcdsec/etcdsec/internal/placeholder"
)

var values = map[string]string{"Name": "etcd-0", "Address": "10.0.0.11"}

func TestExpand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"plain":                   "plain",
		"{{.Name}}":               "etcd-0",
		"{{ .Name }}":             "etcd-0",
		"root@{{.Address}}:/x/":   "root@10.0.0.11:/x/",
		"{{.Name}}{{.Name}}":      "etcd-0etcd-0",
		"a } b }} c { d":          "a } b }} c { d",
		"$(reboot); `x` ${y} %s ": "$(reboot); `x` ${y} %s ",
	} {
		got, err := placeholder.Expand(text, values)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	// What a value holds is not looked at again.
	if got, err := placeholder.Expand("{{.Name}}", map[string]string{"Name": "{{.Address}}"}); err != nil || got != "{{.Address}}" {
		t.Errorf("a value with braces: %q, %v", got, err)
	}
}

// Everything that text/template can do besides putting in a field is refused.
func TestExpandRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{{range 99999999999}}{{end}}", "{{range 99999999999}}x{{.Name}}{{end}}", "{{if .Name}}a{{end}}", `{{if eq .Name "x"}}{{.Bundle}}{{end}}`,
		"{{with .Name}}{{.}}{{end}}", `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`, "{{/* nothing */}}", "{{.}}", "{{$}}", "{{$x := .Name}}", "{{1}}", `{{"{{"}}`,
		"{{.Name | printf `%1000000000s`}}", `{{printf "%9999999d" 1}}`, "{{len .Name}}", "{{call .Name}}", "{{.Name.Other}}", "{{.name}}", "{{.Nmae}}", "{{Name}}", "{{- .Name -}}",
		"{{.Name", "{{", "{{}}", "{{ }}", "{{{.Name}}}", "{{.Name}", "{{.Na me}}", "{{.\nName}}", "{{..Name}}", "{{break}}", "{{else}}", "{{end}}",
	} {
		got, err := placeholder.Expand(text, values)
		refused, ok := errors.AsType[*placeholder.UnknownError](err)
		if !ok || got != "" {
			t.Errorf("%q: %q, %v; want an UnknownError", text, got, err)
			continue
		}
		if !strings.Contains(refused.Error(), "{{.Address}}, {{.Name}}") {
			t.Errorf("%q: the error does not name the placeholders: %v", text, err)
		}
	}
}

// What Expand accepts, text/template understands in the same way.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"{{.Name}}", "a{{ .Address }}b", "{{{{", "}}{{.Name}}}}", "{{.Name}}{{range 3}}{{end}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := placeholder.Expand(text, values)
		if err != nil {
			return
		}
		parsed, err := template.New("").Parse(text)
		if err != nil {
			t.Fatalf("%q is accepted, and text/template says %v", text, err)
		}
		var want strings.Builder
		if err := parsed.Execute(&want, values); err != nil || want.String() != got {
			t.Errorf("%q: %q, text/template has %q, %v", text, got, want.String(), err)
		}
	})
}
