package census

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// writer identifies who a seal names: the longest name that its key may have, and where that may end before.
type writer struct {
	provider   audit.Provider
	key, keyID string
	names      names
	crowded    bool // the longer names of it are not told apart any more
	// starts are where the ciphertexts begin, of as many as are kept and only of a name that may
	// be shorter. A file may have one value in many places, which says no more than one does.
	starts []uint64
}

const mostStarts = 16

// addStart notes a ciphertext.
func (w *writer) addStart(start uint64) {
	if w.names.count > 1 && len(w.starts) < mostStarts && !slices.Contains(w.starts, start) {
		w.starts = append(w.starts, start)
	}
}

// startOf returns bytes of a ciphertext that no other has. Those of KMS v1 begin with a key that many have.
func startOf(s Seal) uint64 {
	var b [8]byte
	if s.Provider == audit.KMSv1Provider {
		copy(b[:], s.Sealed[max(0, len(s.Sealed)-len(b)):])
	} else {
		copy(b[:], s.Sealed)
	}
	return binary.LittleEndian.Uint64(b[:])
}

// writer returns the number of a seal's writer; -1 of one beyond maxWriters.
func (t *Tally) writer(s Seal) int {
	t.scratch = appendWriter(t.scratch[:0], s.Provider, s.Key, s.KeyID, &s.names)
	id, ok := t.writerIDs[string(t.scratch)]
	if !ok {
		id = t.writerID(writer{provider: s.Provider, key: string(s.Key), keyID: string(s.KeyID), names: s.names})
	}
	if id >= 0 && s.names.count > 1 {
		t.writers[id].addStart(startOf(s))
	}
	return id
}

// appendWriter appends what tells a writer from all others.
func appendWriter[T string | []byte](b []byte, provider audit.Provider, key, keyID T, n *names) []byte {
	b = append(append(b, provider...), 0)
	b = append(append(b, key...), 0)
	return n.appendTo(append(b, keyID...))
}

// appendTo appends what tells writers of one name apart: of some values a shorter name makes
// no sense. Most have one name, of which nothing is appended.
func (n *names) appendTo(b []byte) []byte {
	if n.count <= 1 {
		return b
	}
	b = append(b, 0)
	for _, length := range n.length[:n.count] {
		b = append(b, byte(length>>8), byte(length))
	}
	return b
}

func (t *Tally) writerID(w writer) int {
	longer := w.names.count > 1
	if longer && t.longer >= maxLonger {
		w.key, w.crowded, longer = w.key[:w.names.length[0]], true, false
		w.names = names{length: [mostNames]uint16{w.names.length[0]}, count: 1, known: w.names.known & 1}
	}
	t.scratch = appendWriter(t.scratch[:0], w.provider, w.key, w.keyID, &w.names)
	if w.crowded {
		t.scratch = append(t.scratch, "\x00crowded"...)
	}
	if id, ok := t.writerIDs[string(t.scratch)]; ok {
		for _, start := range w.starts {
			t.writers[id].addStart(start)
		}
		return id
	}
	if len(t.writers) >= maxWriters {
		return -1
	}
	if longer {
		t.longer++
	}
	id := len(t.writers)
	t.writers = append(t.writers, w)
	t.writerIDs[string(t.scratch)] = id
	return id
}

// resolvedWriter holds a writer and whether its name is certain.
type resolvedWriter struct {
	audit.Writer
	ambiguous bool // it may have another
}

// keyName is a name that the key of some values may have.
type keyName struct {
	provider audit.Provider
	name     string
}

// resolve decides which name the key of each writer has. The longest is right unless chance
// explains that ciphertext begins so; what is left in doubt is ambiguous.
func (t *Tally) resolve() []resolvedWriter {
	own := make([]int64, len(t.writers))
	for _, r := range t.resources {
		r.addWriters(own)
	}
	if t.rest != nil {
		t.rest.addWriters(own)
	}
	names := 0
	for _, w := range t.writers {
		names += int(w.names.count)
	}
	all := make([]values, 0, names) // at most one for each, so that it does not move
	total := make(map[keyName]*values, names)
	for i, w := range t.writers {
		for _, length := range w.names.length[:w.names.count] {
			name := keyName{w.provider, w.key[:length]}
			v := total[name]
			if v == nil {
				all = append(all, values{})
				v = &all[len(all)-1]
				total[name] = v
			}
			v.add(own[i], w.starts)
		}
	}
	resolved := make([]resolvedWriter, len(t.writers))
	for i, w := range t.writers {
		name, ambiguous := w.resolve(total)
		resolved[i] = resolvedWriter{audit.Writer{Provider: w.provider, Key: clean(name), KeyID: clean(w.keyID)}, ambiguous || w.crowded}
	}
	return resolved
}

// values counts those whose key may have a name.
type values struct {
	count  int64
	starts []uint64 // at most mostStarts, no two of them the same
}

func (v *values) add(n int64, starts []uint64) {
	v.count += n
	if v.starts == nil {
		v.starts = slices.Clip(starts) // most names are of one writer, and need no list of their own
		return
	}
	for _, start := range starts {
		if len(v.starts) < mostStarts && !slices.Contains(v.starts, start) {
			v.starts = append(v.starts, start)
		}
	}
}

// distinct returns how many there are of which no two are the same, at least.
func (v *values) distinct() int64 {
	if n := int64(len(v.starts)); n < mostStarts {
		return n
	}
	return v.count
}

func (r *resource) addWriters(counts []int64) {
	for _, s := range r.total.sealed {
		counts[s.writer] += s.n
	}
}

// resolve goes from the longest name to shorter ones until one is certain, or known.
func (w writer) resolve(total map[keyName]*values) (name string, ambiguous bool) {
	at := int(w.names.count) - 1
	for {
		name = w.key[:w.names.length[at]]
		known, shorter := w.names.isKnown(at), at-1
		for known && shorter >= 0 && !w.names.isKnown(shorter) {
			shorter-- // what the configuration names is not doubted for a name that it does not have
		}
		if shorter < 0 {
			return name, ambiguous
		}
		n := total[keyName{w.provider, name}].distinct()
		of := total[keyName{w.provider, w.key[:w.names.length[shorter]]}].count
		if !byChance(n, of, len(name)-int(w.names.length[shorter])-1, known) {
			return name, ambiguous
		}
		ambiguous = true
		if known {
			return name, ambiguous
		}
		at = shorter
	}
}

// byChance reports whether of many ciphertexts, which are random, some may begin with one text
// of a length and a colon: a text that is known, or any.
//
// One value alone says nothing of a name that is not known: it is not to be shown if it was a
// part of the value after all.
func byChance(values, of int64, length int, known bool) bool {
	const (
		texts = 95 // printable characters of one byte
		never = 1e-6
	)
	if values < 2 && !known {
		return true
	}
	n, expected := float64(values), float64(of)*math.Pow(256, -float64(length+1))
	if n <= expected {
		return true
	}
	factorial, _ := math.Lgamma(n + 1)
	probability := n*math.Log(expected) - factorial // at most, of a Poisson distribution
	if !known {
		probability += float64(length) * math.Log(texts)
	}
	return probability > math.Log(never)
}
