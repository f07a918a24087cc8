package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
)

// A remains counts the values of one place.
type remains struct {
	layout   census.Layout
	classify census.Classifier
	placed   *census.Tally
	unplaced *census.Tally // of values under one key, which stands for those that are not known
	someKey  []byte
	scanned  int64
	bytes    int64
}

// newRemains counts beside a tally of the same layout.
func newRemains(options Options, beside *census.Tally) *remains {
	return &remains{
		layout: options.Layout, classify: census.NewClassifier(options.Known), placed: beside.Fork().WithoutCopies(), unplaced: beside.Fork().WithoutCopies(),
		someKey: []byte(options.Layout.Prefixes()[0] + "unplaced/value"),
	}
}

// scan counts what is in bytes of which nothing else is known.
func (r *remains) scan(ctx context.Context, data []byte) error {
	r.scanned += int64(len(data))
	return scan(ctx, data, func(t trace) {
		r.bytes += int64(t.length)
		seal := r.classify.Classify(t.value)
		if len(t.value) != t.length { // its end is not there, or is not known
			seal = r.classify.ClassifyStart(t.value)
		}
		if _, isObject := r.layout.Object(t.key); isObject {
			r.placed.AddSeal(t.key, seal)
		} else {
			r.unplaced.AddSeal(r.someKey, seal)
		}
	})
}

// count is what was counted.
func (r *remains) count() audit.ResidueCount {
	c, unplaced := countOf(r.placed.Census()), countOf(r.unplaced.Census())
	c.Unplaced = audit.Unplaced{Values: unplaced.Values, Plaintext: unplaced.Plaintext, Writers: unplaced.Writers}
	c.Scanned, c.Bytes = r.scanned, r.bytes
	c.Values += unplaced.Values
	c.Plaintext += unplaced.Plaintext
	for _, w := range unplaced.Writers {
		c.Writers = addWriter(c.Writers, w)
	}
	sortWriters(c.Writers)
	return c
}

// mostNamed is how many objects are named of one place.
const mostNamed = 100

// countOf sums the resources of a census up.
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

// scanFree counts what is on the pages that the current state does not use, and behind the
// content of those that it uses. It returns how many pages are free.
func (d *database) scanFree(ctx context.Context, r *remains) (free int64, err error) {
	zero := make([]byte, d.meta.pageSize)
	size := uint64(d.meta.pageSize) //nolint:gosec // a page size is not negative
	pages := d.pages()
	// A value may lie across pages, so that neighbours are scanned together.
	run := 0
	flush := func(end int) error {
		part := d.data[end-run : end]
		run = 0
		return r.scan(ctx, part)
	}
	for id := range pages {
		start := int(id * size) //nolint:gosec // inside of data
		p := d.data[start:min(start+d.meta.pageSize, len(d.data))]
		used := d.reached.has(id)
		if !used {
			free++
		}
		if used || bytes.Equal(p, zero[:len(p)]) {
			if !used {
				r.scanned += int64(len(p))
			}
			if err := flush(start); err != nil {
				return free, err
			}
		} else {
			run += len(p)
		}
		if used && d.heads.has(id) {
			if err := d.scanSlack(ctx, r, id, zero); err != nil {
				return free, err
			}
		}
	}
	return free, flush(len(d.data))
}

// scanSlack counts what is behind the content of a page.
func (d *database) scanSlack(ctx context.Context, r *remains, id uint64, zero []byte) error {
	p, err := parsePage(d.data[id*uint64(d.meta.pageSize):], d.meta.pageSize) //nolint:gosec // a page size is small
	if err != nil {
		return nil //nolint:nilerr // a fault was told when the page was claimed
	}
	slack := p.data[p.used():]
	if len(slack) <= len(zero) && bytes.Equal(slack, zero[:len(slack)]) {
		r.scanned += int64(len(slack))
		return nil
	}
	return r.scan(ctx, slack)
}

// scanFiles counts what is in files that are scanned as they are. The records of a WAL are
// not followed: etcd's message is around every value in it all the same, and what follows a
// torn record, or belongs to a segment that etcd gave up, is found too.
func (r *remains) scanFiles(ctx context.Context, paths []string) error {
	for _, path := range paths {
		m, err := openMapping(path)
		if err != nil {
			return err
		}
		err = r.scan(ctx, m.data)
		m.close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return nil
}
