package census

import (
	"cmp"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Census returns the counts so far. The caller adds the source.
func (t *Tally) Census() audit.Census {
	c := audit.Census{
		Objects: t.objects, Outside: t.outside, Resources: []audit.ResourceCensus{},
		Copies: audit.Copies{Objects: t.copies.objects, Named: t.copies.named, Uncompared: t.copies.uncompared},
	}
	resolved := t.resolve()
	for _, name := range sortedKeys(t.resources) {
		c.Resources = append(c.Resources, t.resources[name].census(resolved))
	}
	if t.rest != nil {
		c.Resources = append(c.Resources, t.rest.census(resolved))
	}
	return c
}

func (r *resource) census(resolved []resolvedWriter) audit.ResourceCensus {
	c := audit.ResourceCensus{
		Resource: r.name, Bookkeeping: neverEncrypted(r.name),
		Objects: r.total.objects, Plaintext: r.total.plaintext, Broken: r.total.broken,
		PlaintextObjects: r.plaintext, BrokenObjects: r.broken,
		Writers: r.total.writerCounts(resolved, r.samples), NamespacesLeftOut: r.leftOut,
	}
	for i, n := range r.encodings {
		if n > 0 {
			c.Encodings = append(c.Encodings, audit.EncodingCount{Encoding: string(encodings()[i]), Objects: n})
		}
	}
	for _, namespace := range sortedKeys(r.namespaces) {
		in := r.namespaces[namespace]
		c.Namespaces = append(c.Namespaces, audit.NamespaceCensus{
			Namespace: cleanName(namespace), Objects: in.objects, Plaintext: in.plaintext, Broken: in.broken,
			Writers: in.writerCounts(resolved, nil),
		})
	}
	return c
}

// writerCounts returns the writers of a cell in the order of their names.
func (c *cell) writerCounts(resolved []resolvedWriter, samples map[int][]string) []audit.WriterCount {
	counts := make([]audit.WriterCount, 0, len(c.sealed))
	for _, s := range c.sealed {
		w := resolved[s.writer]
		at := slices.IndexFunc(counts, func(c audit.WriterCount) bool { return c.Writer == w.Writer })
		if at < 0 {
			at = len(counts)
			counts = append(counts, audit.WriterCount{Writer: w.Writer})
		}
		count := &counts[at]
		count.Objects += s.n
		if w.ambiguous {
			count.Ambiguous += s.n
		}
		if w.inDoubt {
			count.InDoubt += s.n
		}
		more := samples[s.writer]
		count.Sample = append(count.Sample, more[:min(len(more), maxSample-len(count.Sample))]...)
	}
	slices.SortFunc(counts, func(a, b audit.WriterCount) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), strings.Compare(a.Key, b.Key), strings.Compare(a.KeyID, b.KeyID))
	})
	if c.unlisted > 0 {
		counts = append(counts, audit.WriterCount{Writer: audit.Writer{Provider: audit.UnlistedProvider}, Objects: c.unlisted, Sample: samples[-1]})
	}
	return counts
}
