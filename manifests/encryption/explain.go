package encryption

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
)

// explain finds every place where a document does not fit the wire types. The decoder itself stops
// at the first one, and its message is about Go.
func (d *decoding) explain(text []byte) {
	var tree any
	// As the decoder reads it: names are case-sensitive, whole numbers stay whole.
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &tree); err != nil {
		return // toJSON has said why
	}
	d.checkMapping(tree, "", shapeOfConfiguration())
	// With this option alone, every fault is a key that is there twice.
	if twice, err := kjson.UnmarshalStrict(text, &tree, kjson.DisallowDuplicateFields); err == nil {
		for range twice {
			d.addFaultAt(0, "a key is given twice in one mapping")
		}
	}
}

// shape describes what a value must be.
type shape struct {
	kind   shapeKind
	fields map[string]shape // of a mapping
	items  *shape           // of a list
}

type shapeKind int

const (
	aString shapeKind = iota
	aMapping
	aList
	aNumber
	anything // judged later
)

func shapeOfConfiguration() shape {
	text := shape{kind: aString}
	list := func(of shape) shape { return shape{kind: aList, items: &of} }
	mapping := func(fields map[string]shape) shape { return shape{kind: aMapping, fields: fields} }
	keys := mapping(map[string]shape{"keys": list(mapping(map[string]shape{"name": text, "secret": text}))})
	return mapping(map[string]shape{
		"kind": text, "apiVersion": text,
		"resources": list(mapping(map[string]shape{
			"resources": list(text),
			"providers": list(mapping(map[string]shape{
				"aesgcm": keys, "aescbc": keys, "secretbox": keys, "identity": mapping(nil),
				"kms": mapping(map[string]shape{
					"apiVersion": text, "name": text, "endpoint": text,
					"cachesize": {kind: aNumber}, "timeout": {kind: anything},
				}),
			})),
		})),
	})
}

func (d *decoding) checkValue(v any, field string, s shape) {
	if v == nil {
		return // as if it were not there
	}
	switch s.kind {
	case aMapping:
		d.checkMapping(v, field, s)
	case aList:
		items, ok := v.([]any)
		if !ok {
			d.addFault(field, "want a list, got %s", kindOf(v))
			return
		}
		for i, item := range items {
			d.checkValue(item, fmt.Sprintf("%s[%d]", field, i), *s.items)
		}
	case aString:
		if _, ok := v.(string); !ok {
			d.addFault(field, "want a string, got %s; put it in quotes if it is one", kindOf(v))
		}
	case aNumber:
		if n, ok := v.(int64); !ok || n < math.MinInt32 || n > math.MaxInt32 {
			d.addFault(field, "want a whole number of 32 bits, got %s", kindOf(v))
		}
	case anything:
	}
}

func (d *decoding) checkMapping(v any, field string, s shape) {
	mapping, ok := v.(map[string]any)
	if !ok {
		d.addFault(field, "want a mapping, got %s", kindOf(v))
		return
	}
	known := slices.Sorted(maps.Keys(s.fields))
	isKnown := func(key string) bool { _, ok := mapping[key]; return ok }
	if field == "" && len(mapping) > 0 && !slices.ContainsFunc(known, isKnown) {
		// It is another file, which may hold a secret: none of it is shown.
		d.addFault("", "has none of the keys of an EncryptionConfiguration: %s", strings.Join(known, ", "))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		if of, ok := s.fields[key]; ok {
			d.checkValue(mapping[key], join(field, key), of)
			continue
		}
		// A key of a mapping that nobody knows may be anything, a secret in the wrong place too.
		here := "known here: " + strings.Join(known, ", ")
		if len(known) == 0 {
			here = "want {}"
		}
		if len(key) < 20 && !strings.ContainsFunc(key, isUnprintable) {
			d.addFault(join(field, key), "unknown key; %s", here)
		} else {
			d.faults = append(d.faults, d.source.Fault(field, "an unknown key, which is not shown here; %s", here))
		}
	}
}

func isUnprintable(r rune) bool { return r < ' ' || r > '~' }

func join(field, key string) string { return strings.TrimPrefix(field+"."+key, ".") }

// kindOf names the kind of a value, and never the value.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "another string"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case bool:
		return "true or false"
	default:
		return "a number"
	}
}
