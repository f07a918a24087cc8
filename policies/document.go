package policies

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/etcdsec/etcdsec/cluster"
)

// document is an object with its comments.
type document struct {
	why    string // above it
	object any    // of package kube
	notes  []note
}

// note is a comment above a field, such as spec.ingress[1].
type note struct{ field, why string }

// writeDocuments returns the YAML of objects, with their comments.
func writeDocuments(i *Intent, backend cluster.Backend, documents []document) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written by etcdsec: who may reach the etcd of %s, for %s.\n", i.Cluster, backend)
	for _, d := range documents {
		b.WriteString("---\n")
		b.WriteString(comment(d.why))
		if err := d.write(&b); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func comment(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text)) {
		b.WriteString(strings.TrimRight("# "+strings.TrimRight(line, "\n"), " ") + "\n")
	}
	return b.String()
}

// write encodes the object as JSON, which keeps the order of the fields, and reads that as YAML.
func (d document) write(b *bytes.Buffer) error {
	data, err := json.Marshal(d.object)
	if err != nil {
		return err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return err
	}
	written := map[string]bool{}
	d.restyle(&root, nil, "", written)
	for _, n := range d.notes {
		if !written[n.field] {
			return fmt.Errorf("a comment on %s, which does not exist", n.field)
		}
	}
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	if err := e.Encode(&root); err != nil {
		return err
	}
	return e.Close()
}

// plainForm matches text that every YAML parser reads as a string without quotes.
var plainForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9./-]*$`)

// restyle turns a JSON node into a YAML node and puts the comments above its fields.
func (d document) restyle(n, key *yaml.Node, field string, written map[string]bool) {
	if at := slices.IndexFunc(d.notes, func(n note) bool { return n.field == field }); at >= 0 {
		above := n
		if key != nil {
			above = key
		}
		above.HeadComment = strings.TrimSpace(comment(d.notes[at].why))
		written[field] = true
	}
	n.Style = 0
	switch n.Kind {
	case yaml.DocumentNode:
		for _, child := range n.Content {
			d.restyle(child, nil, field, written)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.restyle(n.Content[i+1], n.Content[i], strings.TrimPrefix(field+"."+n.Content[i].Value, "."), written)
			quote(n.Content[i])
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			d.restyle(child, nil, fmt.Sprintf("%s[%d]", field, i), written)
		}
	case yaml.ScalarNode:
		quote(n)
	case yaml.AliasNode: // JSON has none
	}
}

// quote keeps the quotes of text that some YAML parser would read as another type.
func quote(n *yaml.Node) {
	n.Style = 0
	if n.Tag != "!!str" {
		return
	}
	words := []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
	if !plainForm.MatchString(n.Value) || slices.Contains(words, strings.ToLower(n.Value)) {
		n.Style = yaml.DoubleQuotedStyle
	}
}
