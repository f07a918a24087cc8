// Package strictyaml decodes a YAML document into a struct, and refuses every key that the struct
// does not have. It reports all faults at once, each with its line and field. It remembers where
// each field was written, so that its caller can name the line of a bad value.
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

// Source has the file and the line of each field. Its zero value has none.
type Source struct {
	file  string
	lines map[string]int
}

// Fault is one fault of a document.
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

// Line returns the line, counted from 1, on which a field such as spec.etcd.members[1].name was
// written. For an absent field, it returns the line of the nearest enclosing field, or 0 if there is
// none.
func (s Source) Line(field string) int {
	line := 0
	for at := field; at != "" && line == 0; at = parentField(at) {
		line = s.lines[at]
	}
	return line
}

// Fault returns a *Fault at the line of a field.
func (s Source) Fault(field, format string, a ...any) error {
	return &Fault{File: s.file, Line: s.Line(field), Field: field, Problem: fmt.Sprintf(format, a...)}
}

// parentField returns the field that encloses another.
func parentField(field string) string {
	return field[:max(strings.LastIndexAny(field, ".["), 0)]
}

// Decode reads one YAML document into the struct that into points at, by the yaml tags of its
// fields: structs, slices, strings, ints and bools. The error joins a *Fault for each unknown key,
// duplicate key, wrong type, anchor, and for a second document. Anchors are refused because with
// them a small document can unfold to a huge one. file is only a name for the faults.
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

// parseDocument parses the one document of a file.
func parseDocument(file string, data []byte) (*yaml.Node, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &Fault{File: file, Problem: "the file is empty"}
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&document); err != nil {
		return nil, syntaxFault(file, data, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, &Fault{File: file, Line: second.Line, Problem: "a second YAML document; want exactly one"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxFault(file, data, err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, &Fault{File: file, Problem: "no YAML document in it"}
	}
	return document.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// quoted matches the anchors, keys and values that a YAML parser quotes in its errors.
var quoted = regexp.MustCompile("(?s)\".*\"|`.*`|anchor '.*'")

// Problem returns the text of an error of a YAML parser without anything that it quotes: the document may
// be a key or a password that was given in the place of another file.
func Problem(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "yaml: ")
	return quoted.ReplaceAllString(text, "…")
}

// syntaxFault returns the *Fault for an error of the YAML parser, which gives the line only in its
// text (go.yaml.in/yaml/v3, decode.go, parser.fail).
func syntaxFault(file string, data []byte, err error) error {
	text, line := "yaml: "+Problem(err), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.TrimPrefix(text, m[0])
	}
	if errors.Is(err, io.EOF) {
		text = "no YAML document in it"
	}
	if tab := indentedByTab(data, line); tab > 0 {
		return &Fault{File: file, Line: tab, Problem: "not YAML: the line begins with a tab, and YAML is indented with spaces"}
	}
	return &Fault{File: file, Line: line, Problem: "not YAML: " + text}
}

// indentedByTab returns the line with a tab in its indentation at which the parser stopped, or 0. The
// parser gives the line of what it read last, which may be one before.
func indentedByTab(data []byte, line int) int {
	lines := bytes.Split(data, []byte("\n"))
	for at := max(line, 1); at <= min(line+1, len(lines)); at++ {
		text := lines[at-1]
		if bytes.ContainsRune(text[:len(text)-len(bytes.TrimLeft(text, " \t"))], '\t') {
			return at
		}
	}
	return 0
}

type decoder struct {
	source Source
	faults []error
}

// faultAt adds a fault at a node.
func (d *decoder) faultAt(n *yaml.Node, field, format string, a ...any) {
	d.faults = append(d.faults, &Fault{File: d.source.file, Line: n.Line, Field: field, Problem: fmt.Sprintf(format, a...)})
}

// decode fills into from n. field is the path of n in the document.
func (d *decoder) decode(n *yaml.Node, field string, into reflect.Value) {
	d.source.lines[field] = n.Line
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.faultAt(n, field, "anchors and aliases are not allowed; write the value out")
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
			d.faultAt(n, field, "want a list, got %s", describeKind(n))
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.decode(item, fmt.Sprintf("%s[%d]", field, i), into.Index(i))
		}
	case reflect.String:
		// A date without quotes is the text that was written, as everywhere else in a document.
		if n.Kind != yaml.ScalarNode || (n.Tag != "!!str" && n.Tag != "!!timestamp") {
			d.faultAt(n, field, "want a string, got %s%s", describe(n), quoteHint(n))
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

// decodeMapping fills a struct from a mapping.
func (d *decoder) decodeMapping(n *yaml.Node, field string, into reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.faultAt(n, field, "want a mapping, got %s", describeKind(n))
		return
	}
	fields := listFields(into.Type())
	if field == "" && !hasKnownKey(n, fields) {
		// It is another file, which may hold a secret: none of it is shown.
		d.faultAt(n, field, "has none of the keys of this kind of file; known here: %s", strings.Join(listKeys(fields), ", "))
		return
	}
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
			d.faultAt(key, path, "unknown key; known here: %s", strings.Join(listKeys(fields), ", "))
			continue
		}
		d.decode(value, path, into.Field(fields[at].index))
	}
}

// hasKnownKey reports whether a mapping has the key of a field, or is empty.
func hasKnownKey(mapping *yaml.Node, fields []yamlField) bool {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if slices.Contains(listKeys(fields), mapping.Content[i].Value) {
			return true
		}
	}
	return len(mapping.Content) == 0
}

// yamlField is a field of a struct, with its key in the document.
type yamlField struct {
	key   string
	index int
}

// listFields lists the fields of a struct that have a key.
func listFields(t reflect.Type) []yamlField {
	var fields []yamlField
	for i := range t.NumField() {
		if key, ok := t.Field(i).Tag.Lookup("yaml"); ok {
			fields = append(fields, yamlField{key, i})
		}
	}
	return fields
}

// listKeys lists the keys of fields.
func listKeys(fields []yamlField) []string {
	keys := make([]string, 0, len(fields))
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return keys
}

// describeKind names the kind of a value in an error.
func describeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// describe names the value of a known key in an error.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		return describeKind(n)
	default:
		const most = 60
		value := n.Value
		if len(value) > most {
			value = strings.ToValidUTF8(value[:most], "") + "…"
		}
		return strconv.Quote(value)
	}
}

// quoteHint returns the advice to quote a value that YAML does not read as a string, or "".
func quoteHint(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!str" {
		return ", which YAML reads as another type; put it in quotes"
	}
	return ""
}

// Locate finds the lines of the fields of a document that its caller decodes in another way. It
// never fails: if the data is not YAML, the source is empty. next is the line on which a second
// document begins, or 0 if there is none.
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

// maxDepth limits the nesting that locate follows, and so the length of the paths. Real documents are
// not so deep.
const maxDepth = 32

// locate records the lines of n and of everything in it. It does not follow aliases, which may form
// a loop.
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
