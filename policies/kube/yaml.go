package kube

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// maxYAML bounds what the YAML decoder gets at once, in bytes: it needs some fifty times as much
// memory. It gets a List item by item.
const maxYAML = 4 << 20

// decodeYAML reads the documents of a file.
func (d *decoder) decodeYAML(data []byte) error {
	var documents [][]byte
	for len(data) > 0 {
		var document []byte
		if document, data = cutDocument(data); !isBlank(document) {
			documents = append(documents, document)
		}
		if len(documents) > maxObjects {
			return errTooMany
		}
	}
	if len(documents) == 0 {
		return errEmpty
	}
	number := 0
	return convert(documents, func(document []byte, c converted) error {
		number++
		if err := d.decodeDocument(document, c); err != nil {
			return fmt.Errorf("document %d: %w", number, err)
		}
		return nil
	})
}

// converted is a piece of YAML, converted to JSON.
type converted struct {
	value []byte
	fault string // why what is in it cannot be judged
	err   error
}

// convert converts pieces to JSON, several at the same time, and visits them in order.
func convert(pieces [][]byte, visit func(piece []byte, c converted) error) error {
	const batch = 256
	for len(pieces) > 0 {
		these := pieces[:min(batch, len(pieces))]
		pieces = pieces[len(these):]
		results := make([]converted, len(these))
		var next atomic.Int64
		var group sync.WaitGroup
		for range min(runtime.GOMAXPROCS(0), len(these)) {
			group.Go(func() {
				for n := next.Add(1) - 1; n < int64(len(these)); n = next.Add(1) - 1 {
					results[n] = toJSON(these[n])
				}
			})
		}
		group.Wait()
		for n, piece := range these {
			if err := visit(piece, results[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutDocument cuts before the next line that begins a document, or after a line that ends one.
func cutDocument(data []byte) (document, rest []byte) {
	for at := 0; ; {
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			return data, nil
		}
		at += next + 1
		line := data[at:]
		switch {
		case isMarker(line, "---"):
			return data[:at], line
		case isMarker(line, "..."):
			_, rest, _ = bytes.Cut(line, []byte("\n"))
			return data[:at], rest
		}
	}
}

func isMarker(line []byte, marker string) bool {
	return bytes.HasPrefix(line, []byte(marker)) && (len(line) == len(marker) || isSpace(line[len(marker)]))
}

// isBlank reports whether a document has only comments, directives and its beginning.
func isBlank(document []byte) bool {
	for line := range bytes.Lines(document) {
		line = bytes.TrimSpace(line)
		if isMarker(line, "---") {
			line = bytes.TrimSpace(line[3:])
		}
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

func (d *decoder) decodeDocument(document []byte, c converted) error {
	if errors.Is(c.err, errLarge) {
		header, items := cutItems(document)
		done, err := d.decodeItems(header, items)
		if done || err != nil {
			return err
		}
		// One that cannot be cut so, which is rare, is read as a whole.
		if len(document) > maxYAML {
			return fmt.Errorf("larger than %d MiB; give it as JSON: kubectl get -o json", maxYAML>>20)
		}
		c = wholeToJSON(document)
	}
	if c.err != nil {
		return c.err
	}
	return d.decodeValue(c.value, inherited{fault: c.fault}, 0)
}

// cutItems cuts a List, as kubectl prints it, into its items and the text around them.
func cutItems(document []byte) (header []byte, items [][]byte) {
	inItems, start := false, -1
	end := func(at int) {
		if start >= 0 {
			items = append(items, document[start:at])
		}
		start = -1
	}
	at := 0
	for line := range bytes.Lines(document) {
		here := at
		at += len(line)
		switch {
		case len(items) > maxObjects:
			return nil, nil
		case inItems && bytes.HasPrefix(line, []byte("- ")):
			end(here)
			start = here
		case inItems && (line[0] == ' ' || len(bytes.TrimSpace(line)) == 0):
		default:
			end(here)
			inItems = bytes.Equal(bytes.TrimSpace(line), []byte("items:")) && line[0] == 'i'
			header = append(header, line...)
		}
	}
	end(len(document))
	return header, items
}

// decodeItems reads a List item by item. done is false if it is not a List, or if a piece alone is not
// YAML.
func (d *decoder) decodeItems(header []byte, items [][]byte) (done bool, err error) {
	h, isList := listHeader(header)
	if !isList || len(items) == 0 {
		return false, nil
	}
	if h.Metadata.Continue != "" {
		return true, errPart
	}
	from := inherited{}
	if h.Kind != "List" {
		from.meta = TypeMeta{h.APIVersion, strings.TrimSuffix(h.Kind, "List")}
	}
	before := d.objects
	errCut := errors.New("cut in the wrong place")
	err = convert(items, func(_ []byte, c converted) error {
		if c.err != nil {
			return errCut
		}
		from.fault = c.fault
		_, err := visitElements(c.value, func(item []byte) error { return d.decodeValue(item, from, 1) })
		return err
	})
	if errors.Is(err, errCut) {
		d.objects = before
		return false, nil
	}
	return true, err
}

// listHeader reads the text around the items of a List.
func listHeader(text []byte) (h header, isList bool) {
	c := toJSON(text)
	if c.err != nil || c.fault != "" {
		return header{}, false
	}
	h, _, err := readHeader(c.value)
	return h, err == nil && h.noItems && strings.HasSuffix(h.Kind, "List")
}

// errLarge marks a document that is better read in pieces.
var errLarge = errors.New("a large document")

func toJSON(document []byte) converted {
	const large = 64 << 10
	if len(document) > large && bytes.Contains(document, []byte("\nitems:")) || len(document) > maxYAML {
		return converted{err: errLarge}
	}
	return wholeToJSON(document)
}

// wholeToJSON converts YAML to JSON as kubectl does. A key that is written twice is a fault of the
// object, not an error.
func wholeToJSON(document []byte) converted {
	if err := checkAliases(document); err != nil {
		return converted{err: err}
	}
	value, faults := sigsyaml.YAMLToJSONStrict(document)
	if faults == nil {
		return converted{value: value}
	}
	value, err := sigsyaml.YAMLToJSON(document)
	if err != nil {
		return converted{err: fmt.Errorf("not YAML: %s", strictyaml.Problem(err))}
	}
	fault := strings.Join(strings.Fields(strings.TrimPrefix(faults.Error(), "yaml: unmarshal errors:")), " ")
	return converted{value: value, fault: fault}
}

var aliasForm = regexp.MustCompile(`(^|[\s\[,:{-])\*[A-Za-z0-9_-]`)

// checkAliases refuses a document that becomes much longer when its aliases are resolved.
func checkAliases(document []byte) error {
	if bytes.IndexByte(document, '*') < 0 || !aliasForm.Match(document) {
		return nil
	}
	var root yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(document)).Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("not YAML: %s", strictyaml.Problem(err))
	}
	const least = 64 << 10
	limit := max(4*len(document), least)
	if unfoldedLength(&root, map[*yaml.Node]int{}, limit) > limit {
		return errors.New("its aliases make it far longer than it is; write the values out")
	}
	return nil
}

// unfoldedLength returns the length of a document with a copy in place of each alias. It stops just
// above the limit. known has the lengths of nodes that were measured; it is negative for a node that
// is being measured.
func unfoldedLength(n *yaml.Node, known map[*yaml.Node]int, limit int) int {
	if length, ok := known[n]; ok {
		if length < 0 {
			return limit + 1 // an alias within its own anchor
		}
		return length
	}
	known[n] = -1
	length := len(n.Value) + 2
	if n.Kind == yaml.AliasNode {
		length = unfoldedLength(n.Alias, known, limit)
	}
	for _, child := range n.Content {
		length = min(length+unfoldedLength(child, known, limit), limit+1)
	}
	known[n] = length
	return length
}
