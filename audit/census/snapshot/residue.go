package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// A remains counts the values in one place.
type remains struct {
	layout   census.Layout
	classify census.Classifier
	placed   *census.Tally
	unplaced *census.Tally // of values without a known key, which all count under one key
	someKey  []byte
	scanned  int64
	bytes    int64
	// candidates are the places that look like the beginning of a value, without etcd's message
	// around them.
	candidates int64
}

// newRemains returns an empty count with the layout of a tally.
func newRemains(options Options, beside *census.Tally) *remains {
	return &remains{
		layout: options.Layout, classify: census.NewClassifier(options.Known), placed: beside.Fork().WithoutCopies(), unplaced: beside.Fork().WithoutCopies(),
		someKey: []byte(options.Layout.Prefixes()[0] + "unplaced/value"),
	}
}

// scan counts the values in bytes of unknown structure.
func (r *remains) scan(ctx context.Context, b bytesOf) error {
	r.scanned += int64(len(b.data))
	candidates, err := scan(ctx, b, func(t trace) {
		r.bytes += int64(t.length)
		classify := r.classify.Classify
		if len(t.value) != t.length { // its end is not there
			classify = r.classify.ClassifyStart
		}
		seal := classify(t.value)
		if _, isObject := r.layout.Object(t.key); isObject {
			r.placed.AddSeal(t.key, seal)
		} else {
			r.unplaced.AddSeal(r.someKey, seal)
		}
	})
	r.candidates += candidates
	return err
}

// count returns the counts.
func (r *remains) count() audit.ResidueCount {
	c, unplaced := countOf(r.placed.Census()), countOf(r.unplaced.Census())
	c.Unplaced = audit.Unplaced{Values: unplaced.Values, Plaintext: unplaced.Plaintext, Writers: unplaced.Writers, Candidates: r.candidates}
	c.Scanned, c.Bytes = r.scanned, r.bytes
	c.Values += unplaced.Values
	c.Plaintext += unplaced.Plaintext
	for _, w := range unplaced.Writers {
		c.Writers = addWriter(c.Writers, w)
	}
	sortWriters(c.Writers)
	return c
}

// mostNamed bounds the objects that are named for one place.
const mostNamed = 100

// countOf returns the sum over the resources of a census.
func countOf(placed audit.Census) audit.ResidueCount {
	c := audit.ResidueCount{Values: placed.Objects, Resources: placed.Resources, Writers: []audit.WriterCount{}}
	for _, resource := range placed.Resources {
		c.Plaintext += resource.Plaintext
		for _, w := range resource.Writers {
			w.Sample = nil
			c.Writers = addWriter(c.Writers, w)
		}
		for _, name := range resource.PlaintextObjects {
			named := resource.Resource + " " + name
			if len(c.PlaintextObjects) < mostNamed && !slices.Contains(c.PlaintextObjects, named) {
				c.PlaintextObjects = append(c.PlaintextObjects, named)
			}
		}
	}
	sortWriters(c.Writers)
	return c
}

func addWriter(counts []audit.WriterCount, more audit.WriterCount) []audit.WriterCount {
	for i := range counts {
		if counts[i].Writer == more.Writer {
			counts[i].Objects += more.Objects
			counts[i].Ambiguous += more.Ambiguous
			counts[i].InDoubt += more.InDoubt
			return counts
		}
	}
	return append(counts, more)
}

func sortWriters(counts []audit.WriterCount) {
	slices.SortFunc(counts, func(a, b audit.WriterCount) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Key, b.Key), cmp.Compare(a.KeyID, b.KeyID))
	})
}

// scanUnused counts the values outside the current state of a database. It returns the number of
// free pages.
func (r *remains) scanUnused(ctx context.Context, d *etcddb.Database) (free int64, err error) {
	free, zeros, err := d.Unused(ctx, func(part []byte, at int) error { return r.scan(ctx, bytesOf{part, at, d.PageSize()}) })
	r.scanned += zeros
	return free, err
}

// scanFiles counts the values in files that are scanned as plain bytes, or as pages of a size. It does
// not parse the records of a WAL: every value is inside one of etcd's messages anyway, and so it also
// finds values after a torn record, or in a segment that etcd no longer uses.
func (r *remains) scanFiles(ctx context.Context, paths []string, pageSize int) error {
	for _, path := range paths {
		m, err := etcddb.OpenFile(ctx, path)
		if err != nil {
			return err
		}
		err = r.scan(ctx, bytesOf{data: m.Data, pageSize: pageSize})
		m.Close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return nil
}
