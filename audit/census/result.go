package census

import (
	"cmp"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Census is what was counted so far. Who read the store adds where from.
func (t *Tally) Census() audit.Census {
	c := audit.Census{
		Objects: t.objects, Outside: t.outside, Resources: []audit.ResourceCensus{},
		Copies: audit.Copies{Objects: t.copies.objects, Named: t.copies.named, Uncompared: t.copies.uncompared},
	}
	for _, name := range sortedKeys(t.resources) {
		c.Resources = append(c.Resources, t.resourceCensus(t.resources[name]))
	}
	if t.rest != nil {
		c.Resources = append(c.Resources, t.resourceCensus(t.rest))
	}
	return c
}

func (t *Tally) resourceCensus(r *resource) audit.ResourceCensus {
	c := audit.ResourceCensus{
		Resource: r.name, Bookkeeping: neverEncrypted(r.name),
		Objects: r.total.objects, Plaintext: r.total.plaintext, Broken: r.total.broken,
		PlaintextObjects: r.plaintext, BrokenObjects: r.broken,
		Writers: t.writerCounts(&r.total, r.samples), NamespacesLeftOut: r.leftOut,
	}
	for i, n := range r.encodings {
		if n > 0 {
			c.Encodings = append(c.Encodings, audit.EncodingCount{Encoding: string(encodings()[i]), Objects: n})
		}
	}
	for _, namespace := range sortedKeys(r.namespaces) {
		in := r.namespaces[namespace]
		c.Namespaces = append(c.Namespaces, audit.NamespaceCensus{
			Namespace: clean(namespace), Objects: in.objects, Plaintext: in.plaintext, Broken: in.broken,
			Writers: t.writerCounts(in, nil),
		})
	}
	return c
}

// writerCounts are the writers of a cell in the order of their names.
func (t *Tally) writerCounts(c *cell, samples map[int][]string) []audit.WriterCount {
	counts := make([]audit.WriterCount, 0, len(c.sealed))
	for _, s := range c.sealed {
		w := t.writers[s.writer]
		counts = append(counts, audit.WriterCount{
			Writer:  audit.Writer{Provider: string(w.provider), Key: clean(w.key), KeyID: clean(w.keyID)},
			Objects: s.n, Sample: samples[s.writer],
		})
	}
	slices.SortFunc(counts, func(a, b audit.WriterCount) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.Key, b.Key), strings.Compare(a.KeyID, b.KeyID))
	})
	if c.unlisted > 0 {
		counts = append(counts, audit.WriterCount{Writer: audit.Writer{Provider: audit.UnlistedProvider}, Objects: c.unlisted, Sample: samples[-1]})
	}
	return counts
}
