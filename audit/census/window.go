package census

import "bytes"

// etcd walks all keys of a range in its index to count them, whatever the limit, and holds
// up writers as long (treeIndex.Revisions in server/storage/mvcc/index.go): a scan of n keys
// in pages takes n²/2 steps. So a request ends not where all keys do but where those end
// that begin as the last page did, and the next ones are as many as share a little less.

// window is the part of a span that is being read: all keys that share a prefix with its first
// key.
type window struct {
	end   []byte
	depth int // how long the prefix is; 0 if the window is all of the span
	pages int // that it had
}

// windowPages is the desired number of pages of a window. With more, a member counts too many
// keys again for each page; with fewer, more requests return short pages.
const windowPages = 12

// narrow makes the window of the last page smaller. The page had the keys from first to last; the
// next page begins at position.
func (w *window) narrow(first, last, position []byte, least int) {
	shared := 0
	for shared < min(len(first), len(last)) && first[shared] == last[shared] {
		shared++
	}
	depth := min(max(shared, w.depth+1), shared+1)
	if depth <= max(w.depth, least) {
		return
	}
	if end := prefixEnd(position[:depth]); len(end) > 0 {
		w.end, w.depth, w.pages = end, depth, 0
	}
}

// next moves the window after one that was read to its end, and makes it larger: by a part of the
// keys' path if this one had no key. The span ends at limit, and all its keys share the first
// least bytes.
func (w *window) next(limit []byte, least int) {
	depth := w.depth - 1
	if w.pages == 0 {
		// Without the slash and the byte before it: names that are counted share all others.
		depth = min(depth, bytes.LastIndexByte(w.end[:min(w.depth, len(w.end))], '/')-1)
	}
	depth = min(depth, len(w.end))
	if depth > least {
		if end := prefixEnd(w.end[:depth]); len(end) > 0 && bytes.Compare(end, w.end) > 0 {
			w.end, w.depth, w.pages = end, depth, 0
			return
		}
	}
	w.end, w.depth, w.pages = limit, 0, 0
}

// prefixEnd returns the first key after all that have a prefix; empty if there is none.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for len(end) > 0 {
		if last := len(end) - 1; end[last] < 0xff {
			end[last]++
			return end
		}
		end = end[:len(end)-1]
	}
	return nil
}
