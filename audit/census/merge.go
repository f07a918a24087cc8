package census

import (
	"cmp"
	"maps"
	"slices"
)

// Merge adds the counts of another tally of the same layout. The other tally must not be used
// afterwards.
func (t *Tally) Merge(other *Tally) {
	ids := make([]int, len(other.writers))
	for i, w := range other.writers {
		id := t.writerID(w.provider, []byte(w.key), []byte(w.keyID), w.names, w.crowded)
		if ids[i] = id; id >= 0 {
			for _, start := range w.starts {
				t.addStart(id, start)
			}
		}
	}
	t.objects += other.objects
	t.outside += other.outside
	t.lastResource, t.lastCell = nil, nil
	for _, name := range sortedKeys(other.resources) {
		r := t.resourceNamed(name)
		if r == nil {
			r = t.otherResources()
		}
		t.mergeResource(r, other.resources[name], ids)
	}
	if other.rest != nil {
		t.mergeResource(t.otherResources(), other.rest, ids)
	}
	t.copies.objects += other.copies.objects
	t.copies.uncompared += other.copies.uncompared
	t.copies.named = append(t.copies.named, other.copies.named[:min(len(other.copies.named), maxNamed-len(t.copies.named))]...)
}

func (t *Tally) mergeResource(r, other *resource, ids []int) {
	t.mergeCell(&r.total, &other.total, ids)
	for i, n := range other.encodings {
		r.encodings[i] += n
	}
	r.plaintext = t.addNames(r.plaintext, other.plaintext, maxNamed)
	r.broken = t.addNames(r.broken, other.broken, maxNamed)
	for _, writer := range sortedKeys(other.samples) {
		if t.named >= maxNamedInAll {
			break
		}
		id := -1
		if writer >= 0 {
			id = ids[writer]
		}
		if r.samples == nil {
			r.samples = map[int][]string{}
		}
		r.samples[id] = t.addNames(r.samples[id], other.samples[writer], maxSample)
	}
	r.leftOut += other.leftOut
	for _, namespace := range sortedKeys(other.namespaces) {
		from := other.namespaces[namespace]
		t.lastCell = nil
		if in := t.namespace(r, []byte(namespace)); in != nil {
			t.mergeCell(in, from, ids)
		} else {
			r.leftOut += from.objects - 1 // one was counted already
		}
	}
}

func (t *Tally) mergeCell(c, other *cell, ids []int) {
	c.objects += other.objects
	c.plaintext += other.plaintext
	c.broken += other.broken
	c.unlisted += other.unlisted
	for _, count := range other.sealed {
		t.addSealed(c, ids[count.writer], count.n)
	}
}

func (t *Tally) addNames(list, more []string, most int) []string {
	for _, name := range more {
		if len(list) >= most || t.named >= maxNamedInAll {
			break
		}
		t.named++
		list = append(list, name)
	}
	return list
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
