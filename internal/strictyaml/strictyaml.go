// Package strictyaml decodes a YAML document into a struct and takes nothing that the struct
// does not have. It reports every fault at once, each with its line and field, and remembers
// where each field was written, so that whoever judges the values can say so too.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Source remembers where in which file each field was written. Its zero value knows nothing.
type Source struct {
	file  string
	lines map[string]int
}

// Fault is one thing wrong with a document.
type Fault struct {
	File    string // empty when the document did not come from a file
	Line    int    // 1-based; 0 when the field is absent
	Field   string // such as spec.etcd.members[1].name; empty for the document as a whole
	Problem string
}

func (f *Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			b.WriteString(":" + strconv.Itoa(f.Line))
		}
		b.WriteString(": ")
	} else if f.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Problem)
	return b.String()
}

// Line is the 1-based line on which a field was written, such as spec.etcd.members[1].name;
// of one that is absent, that of the nearest enclosing field. 0 if there is none.
func (s Source) Line(field string) int {
	line := 0
	for at := field; at != "" && line == 0; at = parentField(at) {
		line = s.lines[at]
	}
	return line
}

// Fault locates a problem at a field, or at the nearest enclosing one that was written.
func (s Source) Fault(field, format string, a ...any) error {
	return &Fault{File: s.file, Line: s.Line(field), Field: field, Problem: fmt.Sprintf(format, a...)}
}

func parentField(field string) string {
	return field[:max(strings.LastIndexAny(field, ".["), 0)]
}

// Decode reads one YAML document into the struct that into points at, by the yaml tags of its
// fields: structs, slices, strings, ints and bools. Unknown keys, duplicate keys, wrong types,
// anchors (and with them documents that unfold to more than they are) and a second document are
// faults; the error joins all of them. file is only named in the faults.
func Decode(file string, data []byte, into any) (Source, error) {
	d := decoder{source: Source{file: file, lines: map[string]int{}}}
	root, err := parseDocument(file, data)
	if err != nil {
		return Source{}, err
	}
	d.decode(root, "", reflect.ValueOf(into).Elem())
	if err := errors.Join(d.faults...); err != nil {
		return Source{}, err
	}
	return d.source, nil
}

func parseDocument(file string, data []byte) (*yaml.Node, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &Fault{File: file, Problem: "the file is empty"}
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&document); err != nil {
		return nil, syntaxFault(file, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, &Fault{File: file, Line: second.Line, Problem: "a second YAML document; want exactly one"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxFault(file, err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, &Fault{File: file, Problem: "no YAML document in it"}
	}
	return document.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntaxFault(file string, err error) error {
	text, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.TrimPrefix(text, m[0])
	}
	if errors.Is(err, io.EOF) {
		text = "no YAML document in it"
	}
	return &Fault{File: file, Line: line, Problem: "not YAML: " + text}
}

type decoder struct {
	source Source
	faults []error
}

func (d *decoder) faultAt(n *yaml.Node, field, format string, a ...any) {
	d.faults = append(d.faults, &Fault{File: d.source.file, Line: n.Line, Field: field, Problem: fmt.Sprintf(format, a...)})
}

// decode fills into from n. field is the path of n in the document.
func (d *decoder) decode(n *yaml.Node, field string, into reflect.Value) {
	d.source.lines[field] = n.Line
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.faultAt(n, field, "anchors and aliases are not taken; write the value out")
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // "key:" with nothing behind it is the same as no key
	}
	switch into.Kind() {
	case reflect.Struct:
		d.decodeMapping(n, field, into)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.faultAt(n, field, "want a list, got %s", describe(n))
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.decode(item, fmt.Sprintf("%s[%d]", field, i), into.Index(i))
		}
	case reflect.String:
		// A date without quotes is the text that was written, as everywhere else in a document.
		if n.Kind != yaml.ScalarNode || (n.Tag != "!!str" && n.Tag != "!!timestamp") {
			d.faultAt(n, field, "want a string, got %s%s", describe(n), quoteIt(n))
			return
		}
		into.SetString(n.Value)
	case reflect.Int:
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil {
			d.faultAt(n, field, "want a whole number, got %s", describe(n))
			return
		}
		into.SetInt(int64(v))
	case reflect.Bool:
		// YAML 1.1's yes and on are read as strings by this library, and so refused here.
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			d.faultAt(n, field, "want true or false, got %s", describe(n))
			return
		}
		into.SetBool(strings.EqualFold(n.Value, "true"))
	default:
		panic("strictyaml: no decoding for " + into.Type().String()) // a field of a new type, caught by any test
	}
}

func (d *decoder) decodeMapping(n *yaml.Node, field string, into reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.faultAt(n, field, "want a mapping, got %s", describe(n))
		return
	}
	fields := fieldsOf(into.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(field+"."+key.Value, ".")
		if first, twice := seen[key.Value]; twice {
			d.faultAt(key, path, "is given twice; first on line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		at := slices.IndexFunc(fields, func(f yamlField) bool { return f.key == key.Value })
		if at < 0 {
			d.faultAt(key, path, "unknown key; known here: %s", strings.Join(keysOf(fields), ", "))
			continue
		}
		d.decode(value, path, into.Field(fields[at].index))
	}
}

type yamlField struct {
	key   string
	index int
}

func fieldsOf(t reflect.Type) []yamlField {
	var fields []yamlField
	for i := range t.NumField() {
		if key, ok := t.Field(i).Tag.Lookup("yaml"); ok {
			fields = append(fields, yamlField{key, i})
		}
	}
	return fields
}

func keysOf(fields []yamlField) []string {
	keys := make([]string, 0, len(fields))
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return keys
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		const most = 60
		value := n.Value
		if len(value) > most {
			value = strings.ToValidUTF8(value[:most], "") + "…"
		}
		return strconv.Quote(value)
	}
}

func quoteIt(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!str" {
		return ", which YAML reads as another type; put it in quotes"
	}
	return ""
}

// Locate remembers where the fields of a document were written, for a reader that decodes it
// by other means. It takes whatever is there: of what is no YAML to this package it knows
// nothing. next is the line on which a second document begins; 0 if none does.
func Locate(file string, data []byte) (source Source, next int) {
	source = Source{file: file, lines: map[string]int{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil || len(document.Content) != 1 {
		return source, 0
	}
	source.locate(document.Content[0], "", maxDepth)
	for {
		var more yaml.Node
		err := decoder.Decode(&more)
		switch {
		case errors.Is(err, io.EOF):
			return source, 0
		case err != nil: // whatever it is, it is not the first document
			if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
				next, _ = strconv.Atoi(m[1])
			}
			return source, max(next, 1)
		case len(more.Content) == 1 && more.Content[0].Tag != "!!null":
			return source, more.Line
		}
	}
}

// maxDepth bounds the paths of fields, which grow with it. No document has so much.
const maxDepth = 32

// locate does not follow aliases, which may lead back.
func (s Source) locate(n *yaml.Node, field string, depth int) {
	s.lines[field] = n.Line
	if depth == 0 {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			s.locate(n.Content[i+1], strings.TrimPrefix(field+"."+n.Content[i].Value, "."), depth-1)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			s.locate(item, fmt.Sprintf("%s[%d]", field, i), depth-1)
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
}
