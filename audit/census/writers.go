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

// addStart notes where a ciphertext of a writer begins.
func (t *Tally) addStart(id int, start uint64) {
	switch w := &t.writers[id]; {
	case w.names.count <= 1 || len(w.starts) >= mostStarts || slices.Contains(w.starts, start):
	case w.starts == nil:
		w.starts = t.starts.of(start)
	default:
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
		id = t.writerID(s.Provider, s.Key, s.KeyID, s.names, false)
	}
	if id >= 0 && s.names.count > 1 {
		t.addStart(id, startOf(s))
	}
	return id
}

// appendWriter appends what tells a writer from all others.
func appendWriter(b []byte, provider audit.Provider, key, keyID []byte, n *names) []byte {
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

// writerID returns the number of a writer, which it gives to one that is new; -1 beyond maxWriters.
func (t *Tally) writerID(provider audit.Provider, key, keyID []byte, n names, crowded bool) int {
	longer := n.count > 1
	if longer && t.longer >= maxLonger {
		key, crowded, longer = key[:n.length[0]], true, false
		n = names{length: [mostNames]uint16{n.length[0]}, count: 1, known: n.known & 1}
	}
	t.scratch = appendWriter(t.scratch[:0], provider, key, keyID, &n)
	if crowded {
		t.scratch = append(t.scratch, "\x00crowded"...)
	}
	if id, ok := t.writerIDs[string(t.scratch)]; ok {
		return id
	}
	if len(t.writers) >= maxWriters {
		return -1
	}
	if longer {
		t.longer++
	}
	id, text := len(t.writers), t.texts.keep(t.scratch)
	t.writerIDs[text] = id
	at := len(provider) + 1 // of the key, as appendWriter has it
	w := writer{provider: provider, key: text[at : at+len(key)], names: n, crowded: crowded}
	w.keyID = text[at+len(key)+1:][:len(keyID)]
	t.writers = append(t.writers, w)
	return id
}

// resolvedWriter holds a writer and whether its name is certain.
type resolvedWriter struct {
	audit.Writer
	ambiguous bool // it may have another
	inDoubt   bool // and chance does not explain that it looks so
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
		name, ambiguous, inDoubt := w.resolve(total)
		resolved[i] = resolvedWriter{audit.Writer{Provider: w.provider, Key: name, KeyID: w.keyID}, ambiguous || w.crowded, inDoubt}
	}
	doubtTooMany(resolved, own)
	return resolved
}

// doubtTooMany puts all ambiguous values of a key in doubt where there are more of them than
// chance makes, although each of their longer names alone may be chance.
func doubtTooMany(resolved []resolvedWriter, own []int64) {
	const byChance = 160 // one of as many begins with text and a colon
	type sum struct{ all, ambiguous int64 }
	sums := map[audit.Writer]sum{}
	for i, w := range resolved {
		s := sums[w.WithoutKeyID()]
		s.all += own[i]
		if w.ambiguous {
			s.ambiguous += own[i]
		}
		sums[w.WithoutKeyID()] = s
	}
	for i, w := range resolved {
		if s := sums[w.WithoutKeyID()]; w.ambiguous && likelihood(s.ambiguous, float64(s.all)/byChance) < unlikely {
			resolved[i].inDoubt = true
		}
	}
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

// unlikely is the natural logarithm of a probability. Chance explains what is likelier; what is less
// likely puts the writer of a value in doubt. It is so low because an audit runs each day, on many
// clusters, and must not doubt a healthy one.
const unlikely = -11.5 // one in a hundred thousand

// resolve goes from the longest name to shorter ones until one is certain, or known. A name is
// in doubt if a longer one was left although it is unlikely to be chance in values of this name,
// or if it and a shorter one are both known.
func (w writer) resolve(total map[keyName]*values) (name string, ambiguous, inDoubt bool) {
	at := int(w.names.count) - 1
	var left [mostNames]int // names, by their place
	doubts := func(name string) bool {
		of := total[keyName{w.provider, name}].count
		return slices.ContainsFunc(left[:w.names.count], func(length int) bool {
			return length > len(name) && chance(total[keyName{w.provider, w.key[:length]}].distinct(), of, length-len(name)-1, false) < unlikely
		})
	}
	for {
		name = w.key[:w.names.length[at]]
		known, shorter := w.names.isKnown(at), at-1
		for known && shorter >= 0 && !w.names.isKnown(shorter) {
			shorter-- // what the configuration names is not doubted for a name that it does not have
		}
		if shorter < 0 {
			return name, ambiguous, ambiguous && doubts(name)
		}
		n := total[keyName{w.provider, name}].distinct()
		of := total[keyName{w.provider, w.key[:w.names.length[shorter]]}].count
		length := len(name) - int(w.names.length[shorter]) - 1
		if !byChance(n, of, length, known) {
			return name, ambiguous, ambiguous && doubts(name)
		}
		ambiguous = true
		if known {
			return name, ambiguous, true
		}
		left[at] = len(name)
		at = shorter
	}
}

// byChance reports whether of many ciphertexts, which are random, some may begin with one text
// of a length and a colon: a text that is known, or any.
//
// One value alone says nothing of a name that is not known: it is not to be shown if it was a
// part of the value after all.
func byChance(values, of int64, length int, known bool) bool {
	const never = -13.8 // one in a million
	return values < 2 && !known || chance(values, of, length, known) > never
}

// chance returns the logarithm of how likely it is that as many of random ciphertexts begin with
// one text of a length and a colon: a text that is known, or any.
func chance(values, of int64, length int, known bool) float64 {
	const texts = 95 // printable characters of one byte
	log := likelihood(values, float64(of)*math.Pow(256, -float64(length+1)))
	if !known {
		log += float64(length) * math.Log(texts)
	}
	return log
}

// likelihood returns the logarithm of how likely it is, at most, that n are found where some
// are expected: that of a Poisson distribution. It is 0 where no more than that are found.
func likelihood(n int64, expected float64) float64 {
	found := float64(n)
	if found <= expected {
		return 0
	}
	factorial, _ := math.Lgamma(found + 1)
	return found*math.Log(expected) - factorial
}
