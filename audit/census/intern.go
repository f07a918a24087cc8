package census

import "strings"

// texts keeps many short texts with few allocations. Ciphertext can look like hundreds of names.
type texts struct{ chunk strings.Builder }

// keep returns the text of some bytes.
func (t *texts) keep(b []byte) string {
	const size = 8 << 10
	if t.chunk.Cap()-t.chunk.Len() < len(b) {
		t.chunk.Reset()
		t.chunk.Grow(max(size, len(b)))
	}
	at := t.chunk.Len()
	t.chunk.Write(b)
	return t.chunk.String()[at:]
}

// shortLists makes lists of one element with few allocations. A list that grows moves elsewhere.
type shortLists[T any] struct{ chunk []T }

func (s *shortLists[T]) of(v T) []T {
	const size = 64
	if len(s.chunk) == cap(s.chunk) {
		s.chunk = make([]T, 0, size)
	}
	at := len(s.chunk)
	s.chunk = append(s.chunk, v)
	return s.chunk[at : at+1 : at+1]
}
