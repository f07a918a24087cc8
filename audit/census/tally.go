// Package census finds out which key encrypted each object in an etcd: in a running server, or in
// the bytes of a file. It needs no key, decrypts nothing, and keeps no value.
package census

import (
	"hash/maphash"
	"slices"
	"strings"
	"unicode"

	"github.com/etcdsec/etcdsec/audit"
)

// These limits bound the memory of a tally, whatever is in the store. What is beyond them is
// still counted, in the next larger total.
const (
	maxResources  = 4096
	maxPlaces     = 2 * maxResources // where they are stored; many may have one name, if it does not print
	maxNamespaces = 16384            // of all resources together
	maxWriters    = 1024
	maxLonger     = 512   // of them, with a name that may be shorter
	maxCounts     = 65536 // of a writer in a resource or a namespace
	maxNamed      = 100   // objects of one kind in one resource
	maxNamedInAll = 8192
	maxName       = 320 // bytes; a namespace and a name of Kubernetes have 63 and 253
	maxSample     = 5
)

// Tally counts the objects of a store by who encrypted them, in bounded memory. Copies made by
// Fork may count at the same time.
type Tally struct {
	layout  Layout
	objects int64
	outside int64
	named   int // names that are kept
	counts  int // of writers in resources and namespaces
	spaces  int // namespaces of all resources
	places  int // in stored

	stored    []map[string]*resource // by the layout's root, and then by where they are stored
	resources map[string]*resource   // by their names
	rest      *resource              // of resources beyond maxResources; nil if there are none

	classifier Classifier
	writers    []writer
	writerIDs  map[string]int // by the writer's key in the map
	longer     int            // writers with a name that may be shorter
	scratch    []byte
	texts      texts
	names      shortLists[string]
	starts     shortLists[uint64]

	copies copies

	lastResource *resource
	lastStored   string
	lastRoot     int
	lastCell     *cell
}

// resource holds the counts of one resource.
type resource struct {
	name  string
	total cell

	encodings  [4]int64 // in the order of encodings()
	plaintext  []string
	broken     []string
	samples    map[int][]string // by writer
	namespaces map[string]*cell
	leftOut    int64 // objects in namespaces beyond maxNamespaces
}

// cell holds the counts of one resource, or of one resource in one namespace.
type cell struct {
	name                       string
	objects, plaintext, broken int64
	sealed                     []sealedCount
	unlisted                   int64 // by writers beyond the limits
}

type sealedCount struct {
	writer int
	n      int64
}

// NewTally returns an empty tally of the objects of a layout. known are the writers of a
// configuration; others are recognised by the pattern of their names.
func NewTally(layout Layout, known ...audit.Writer) *Tally {
	return newTally(layout, NewClassifier(known), newCopies(copiesTable))
}

func newTally(layout Layout, classifier Classifier, c copies) *Tally {
	t := &Tally{layout: layout, classifier: classifier, resources: map[string]*resource{}, writerIDs: map[string]int{}, copies: c}
	for range layout.roots {
		t.stored = append(t.stored, map[string]*resource{})
	}
	return t
}

// WithoutCopies turns off the comparison of ciphertext, for a caller that adds more than one
// revision of an object. It must be called before Add and Fork.
func (t *Tally) WithoutCopies() *Tally {
	t.copies = copies{}
	return t
}

// Fork returns an empty tally that may count in another goroutine and be merged into this one.
// Ciphertext is compared across both tallies.
func (t *Tally) Fork() *Tally {
	return newTally(t.layout, t.classifier, copies{seed: t.copies.seed, table: t.copies.table})
}

// Add counts the value of a key. It keeps neither.
func (t *Tally) Add(key, value []byte) { t.AddSeal(key, t.classifier.Classify(value)) }

// AddSeal does what Add does, for a value that is already classified.
func (t *Tally) AddSeal(key []byte, s Seal) {
	o, ok := t.layout.Object(key)
	if !ok {
		t.outside++
		return
	}
	t.objects++
	r := t.resource(o)
	in := t.namespace(r, o.Namespace)
	id := -1
	if s.Form == Encrypted {
		id = t.writer(s)
	}
	t.count(&r.total, s, id)
	if in != nil {
		t.count(in, s, id)
	}
	switch s.Form {
	case Plaintext:
		r.encodings[encodingIndex(s.Encoding)]++
		r.plaintext = t.addName(r.plaintext, maxNamed, o)
	case Broken:
		r.broken = t.addName(r.broken, maxNamed, o)
	case Encrypted:
		if sample := r.samples[id]; len(sample) < maxSample && t.named < maxNamedInAll {
			if r.samples == nil {
				r.samples = map[int][]string{}
			}
			r.samples[id] = t.addName(sample, maxSample, o)
		}
		if t.copies.add(s.Sealed) {
			t.copies.objects++
			if len(t.copies.named) < maxNamed {
				t.copies.named = append(t.copies.named, r.name+" "+objectName(o))
			}
		}
	}
}

// resource returns the counts of an object's resource. Keys come in order, so it is nearly always
// the last one.
func (t *Tally) resource(o Object) *resource {
	if t.lastResource != nil && t.lastRoot == o.root && t.lastStored == string(o.stored) {
		return t.lastResource
	}
	t.lastCell = nil
	r, ok := t.stored[o.root][string(o.stored)]
	if !ok {
		r = t.rest
		if len(o.stored) <= maxName {
			r = t.resourceNamed(cleanName(t.layout.Resource(o)))
		}
		if r == t.rest {
			t.lastResource = nil
			return t.otherResources()
		}
		if t.places < maxPlaces {
			t.stored[o.root][string(o.stored)] = r
			t.places++
		}
	}
	t.lastResource, t.lastRoot, t.lastStored = r, o.root, string(o.stored)
	return r
}

// resourceNamed returns the counts of a resource by its name, or rest if there are too many
// resources.
func (t *Tally) resourceNamed(name string) *resource {
	r, ok := t.resources[name]
	if ok {
		return r
	}
	if len(t.resources) >= maxResources {
		return t.rest
	}
	r = &resource{name: name}
	t.resources[name] = r
	return r
}

// otherResources returns the resource that stands for all resources beyond the limit.
func (t *Tally) otherResources() *resource {
	if t.rest == nil {
		t.rest = &resource{name: "(other resources)"}
	}
	return t.rest
}

// namespace returns the counts of a namespace of a resource; nil if there are too many
// namespaces.
func (t *Tally) namespace(r *resource, namespace []byte) *cell {
	if namespace == nil {
		return nil
	}
	if t.lastCell != nil && t.lastCell.name == string(namespace) {
		return t.lastCell
	}
	c, ok := r.namespaces[string(namespace)]
	if !ok {
		if t.spaces >= maxNamespaces || len(namespace) > maxName || r == t.rest {
			r.leftOut++
			return nil
		}
		if r.namespaces == nil {
			r.namespaces = map[string]*cell{}
		}
		c = &cell{name: string(namespace)}
		r.namespaces[c.name] = c
		t.spaces++
	}
	if r != t.rest {
		t.lastCell = c
	}
	return c
}

func (t *Tally) count(c *cell, s Seal, id int) {
	c.objects++
	switch s.Form {
	case Plaintext:
		c.plaintext++
	case Broken:
		c.broken++
	case Encrypted:
		t.addSealed(c, id, 1)
	}
}

func (t *Tally) addSealed(c *cell, id int, n int64) {
	for i := range c.sealed {
		if c.sealed[i].writer == id {
			c.sealed[i].n += n
			return
		}
	}
	if id < 0 || t.counts >= maxCounts {
		c.unlisted += n
		return
	}
	t.counts++
	if c.sealed == nil {
		const few = 4 // keys at work at one time, and some by chance
		c.sealed = make([]sealedCount, 0, few)
	}
	c.sealed = append(c.sealed, sealedCount{writer: id, n: n})
}

// addName adds an object to a list of names, if there is room.
func (t *Tally) addName(list []string, most int, o Object) []string {
	if len(list) >= most || t.named >= maxNamedInAll {
		return list
	}
	t.named++
	t.scratch = appendName(t.scratch[:0], o)
	name := cleanName(t.texts.keep(t.scratch))
	if list == nil {
		return t.names.of(name)
	}
	return append(list, name)
}

func objectName(o Object) string { return cleanName(string(appendName(nil, o))) }

// appendName appends the name of an object with its namespace, as far as they are told.
func appendName(b []byte, o Object) []byte {
	if o.Namespace != nil {
		b = append(append(b, o.Namespace[:min(len(o.Namespace), maxName)]...), '/')
	}
	return append(b, o.Name[:min(len(o.Name), maxName)]...)
}

// cleanName makes a name from a store safe for a terminal: on one line, without control
// characters.
func cleanName(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func encodings() [4]Encoding { return [4]Encoding{Protobuf, JSON, CBOR, Other} }

func encodingIndex(e Encoding) int {
	known := encodings()
	at := slices.Index(known[:], e)
	if at < 0 {
		return len(known) - 1
	}
	return at
}

// Objects returns how many objects were counted.
func (t *Tally) Objects() int64 { return t.objects }

// copies finds ciphertext that was seen before, by its hash. The forks of a tally share its
// table.
type copies struct {
	seed  maphash.Seed
	table *hashTable

	objects    int64
	named      []string
	uncompared int64
}

// copiesTable bounds the number of values that are compared: 16 MiB of 64-bit hashes.
const copiesTable = 1 << 21

func newCopies(slots int) copies {
	return copies{seed: maphash.MakeSeed(), table: newHashTable(slots)}
}

// add reports whether the same bytes were added before.
func (c *copies) add(sealed []byte) bool {
	if c.table == nil {
		return false
	}
	found, full := c.table.add(maphash.Bytes(c.seed, sealed))
	if full {
		c.uncompared++
	}
	return found
}
