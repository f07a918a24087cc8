package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// MaxSize limits a file, in bytes. Ten thousand Pods as kubectl prints them are 60 MB.
const MaxSize = 256 << 20

// maxObjects limits the objects of a file: even a small file may have many.
const maxObjects = 1_000_000

var errTooMany = fmt.Errorf("more than %d objects", maxObjects)

// maxNesting limits Lists of Lists, which kubectl never prints.
const maxNesting = 4

// Decode reads a file of YAML or JSON, with several documents and Lists of any kind. Policies are
// read strictly: the fields that are unknown are listed in the object and under Skipped, and an object
// with a field of another type, or one that is written twice, is skipped with the reason. Of Pods,
// nodes and namespaces only the fields that matter for packets are read. The error means that the
// file cannot be read at all, or that it is no answer about a cluster: it has no document, an
// object without a kind, the Status of a request that failed, or only a part of a list. file is
// only used in messages.
func Decode(file string, data []byte) (Objects, error) {
	if len(data) > MaxSize {
		return Objects{}, fmt.Errorf("decoding %s: larger than %d MiB", file, MaxSize>>20)
	}
	d := decoder{file: file, kinds: kinds()}
	data = bytes.TrimPrefix(data, []byte(BOM))
	if at := skipSpace(data, 0); at < len(data) && data[at] == '{' {
		// A mapping of YAML may begin so too.
		err := d.decodeJSON(data)
		if err == nil {
			return d.objects, nil
		}
		if !errors.Is(err, errNotJSON) {
			return Objects{}, fmt.Errorf("decoding %s: %w", file, err)
		}
		d.objects = Objects{}
	}
	if err := d.decodeYAML(data); err != nil {
		return Objects{}, fmt.Errorf("decoding %s: %w", file, err)
	}
	return d.objects, nil
}

// BOM is the byte order mark that some programs write before text in UTF-8.
const BOM = "\xef\xbb\xbf"

var (
	errEmpty  = errors.New("it has no objects at all")
	errNoKind = errors.New("an object without a kind, which no API server returns")
	errPart   = errors.New("a list that continues in another answer; ask for all of it, without a limit")
)

type decoder struct {
	file    string
	kinds   map[TypeMeta]reading
	objects Objects
	buffer  []byte
}

// decodeJSON reads one object of JSON after another.
func (d *decoder) decodeJSON(data []byte) error {
	for at := skipSpace(data, 0); at < len(data); at = skipSpace(data, at) {
		h, length, err := readHeader(data[at:])
		if err != nil {
			return err
		}
		if !validOutline(data[at : at+length]) {
			return errNotJSON
		}
		if err := d.readObject(h, data[at:at+length], inherited{}, 0); err != nil {
			return err
		}
		at += length
	}
	return nil
}

// validOutline reports whether a value is JSON. It checks only small values, because large ones cost
// too much.
func validOutline(data []byte) bool {
	const small = 1 << 20
	return len(data) > small || json.Valid(data)
}

// inherited holds what an object inherits from its list or document.
type inherited struct {
	meta  TypeMeta // of the elements of a typed list
	fault string   // of its document, if it cannot be judged
}

// header holds the fields that identify an object, and the items of a list.
type header struct {
	TypeMeta
	Metadata struct {
		ObjectMeta
		Continue string // of a list of which more is to come
	}
	message string // of a Status
	isList  bool   // items is an array
	items   [][]byte
	noItems bool // items is null, as in what is left of a List that was cut
}

// readHeader reads the header of an object and returns the object's length. It finds the elements of
// a list in the same pass, because each pass over a large one costs time.
func readHeader(data []byte) (h header, length int, err error) {
	seen := false
	length, err = walk(data, '{', '}', func(at int) (int, error) {
		name, at, err := fieldName(data, at)
		if err != nil {
			return 0, err
		}
		if name == "items" {
			if seen {
				return 0, errors.New("items is given twice")
			}
			if seen = true; at < len(data) && data[at] == '[' {
				end, err := h.collect(data[at:])
				return at + end, err
			}
		}
		end, err := memberEnd(data, at)
		if err != nil {
			return 0, err
		}
		return end, h.readField(name, data[at:end])
	})
	return h, length, err
}

// collect appends the elements of an array to the items.
func (h *header) collect(array []byte) (int, error) {
	h.isList = true
	return visitElements(array, func(item []byte) error {
		h.items = append(h.items, item)
		if len(h.items) > maxObjects {
			return errTooMany
		}
		return nil
	})
}

func (h *header) readField(name string, value []byte) error {
	switch name {
	case "apiVersion":
		_ = json.Unmarshal(value, &h.APIVersion) // what is no string says nothing
	case "kind":
		_ = json.Unmarshal(value, &h.Kind)
	case "message":
		_ = json.Unmarshal(value, &h.message)
	case "items":
		h.noItems = string(value) == "null"
	case "metadata":
		if value[0] != '{' {
			return nil
		}
		pruned, err := prune(nil, value, keep{"name": nil, "namespace": nil, "continue": nil})
		if err == nil {
			_ = json.Unmarshal(pruned, &h.Metadata)
		}
		return err
	}
	return nil
}

// decodeValue reads an object or a list of objects.
func (d *decoder) decodeValue(data []byte, from inherited, depth int) error {
	if string(data) == "null" {
		return nil
	}
	h, _, err := readHeader(data)
	if err != nil {
		return err
	}
	return d.readObject(h, data, from, depth)
}

// readObject is decodeValue for an object whose header is already parsed.
func (d *decoder) readObject(h header, data []byte, from inherited, depth int) error {
	if h.Kind == "" && from.meta.Kind != "" {
		h.TypeMeta, data = from.meta, withType(from.meta, data)
	}
	if h.isList && strings.HasSuffix(h.Kind, "List") {
		if h.Metadata.Continue != "" {
			return errPart
		}
		if depth == maxNesting {
			return fmt.Errorf("lists of lists, %d deep", maxNesting)
		}
		below := inherited{fault: from.fault}
		if h.Kind != "List" {
			below.meta = TypeMeta{h.APIVersion, strings.TrimSuffix(h.Kind, "List")}
		}
		return d.decodeList(h.items, below, depth+1)
	}
	return d.decodeObject(h, data, from)
}

// decodeList reads the elements of an array. It reads a long one on all processors.
func (d *decoder) decodeList(items [][]byte, from inherited, depth int) error {
	const few = 256
	parts := 1
	if len(items) > few {
		parts = runtime.GOMAXPROCS(0)
	}
	readers := make([]decoder, parts)
	faults := make([]error, parts)
	var group sync.WaitGroup
	for n := range parts {
		readers[n].file, readers[n].kinds = d.file, d.kinds
		part := items[len(items)*n/parts : len(items)*(n+1)/parts]
		group.Go(func() {
			for _, item := range part {
				if faults[n] = readers[n].decodeValue(item, from, depth); faults[n] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	for n := range parts {
		if faults[n] != nil {
			return faults[n]
		}
		d.objects.Add(readers[n].objects)
	}
	return nil
}

// withType returns an object of JSON with its type added. data has none.
func withType(t TypeMeta, data []byte) []byte {
	kind, err := json.Marshal(t)
	rest := data[skipSpace(data, 0)+1:]
	if err != nil || rest[skipSpace(rest, 0)] == '}' {
		return data
	}
	return slices.Concat(bytes.TrimSuffix(kind, []byte("}")), []byte(","), rest)
}

// decodeObject reads one object, and skips it if its kind is not known here.
func (d *decoder) decodeObject(h header, data []byte, from inherited) error {
	group, version, _ := strings.Cut(h.APIVersion, "/")
	if version == "" {
		group, version = "", group
	}
	meta := h.TypeMeta
	if group == "" {
		meta.APIVersion = version
	}
	kind, known := d.kinds[meta]
	if kind.lenient {
		_, err := kind.read(d, data)
		return err
	}
	skip := func(effect Effect, why string) {
		d.objects.Skipped = append(d.objects.Skipped, Skipped{d.file, qualifiedKind(h.Kind, group), fullName(h.Metadata.ObjectMeta), why, effect})
	}
	switch {
	case h.Kind == "":
		return errNoKind
	case meta == TypeMeta{"v1", "Status"}:
		return fmt.Errorf("the API server did not answer with objects, but with a Status: %.200q", h.message)
	case !known:
		skip(explainUnread(group, version, h.Kind))
	case from.fault != "":
		skip(MayDecide, from.fault)
	default:
		unread, err := kind.read(d, data)
		switch {
		case err != nil:
			skip(MayDecide, err.Error())
		case len(unread) > 0:
			skip(ReadInPart, unread.String())
		}
	}
	return nil
}

func qualifiedKind(kind, group string) string {
	if kind == "" || group == "" {
		return kind
	}
	return kind + "." + group
}

func fullName(m ObjectMeta) string {
	if m.Namespace == "" {
		return m.Name
	}
	return m.Namespace + "/" + m.Name
}
