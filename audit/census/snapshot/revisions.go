package snapshot

import "context"

// revisions reads the bucket "key", the newest revision first: the first that is seen of an
// etcd key is its current one, so that one pass is enough.
//
// What takes the time is waiting for memory, of which every revision is somewhere else. The
// elements are therefore collected, and then each step is done for all of them: a processor
// waits for many places at once where nothing else lies between.
type revisions struct {
	d     *database
	seen  *seen
	order order
	take  func(found)

	elements []element
	hashes   []uint64
	touched  uint64 // what keeps the compiler from leaving out a load

	newest int64
	count  int64
}

// element is one of a leaf page.
type element struct {
	page      uint64
	index     int
	key, data []byte
	kv        keyValue
	tombstone bool
	ok        bool
}

func newRevisions(d *database, take func(found)) *revisions {
	return &revisions{
		d: d, seen: newSeen(), order: order{d: d}, take: take,
		elements: make([]element, 0, batchSize), hashes: make([]uint64, 0, batchSize),
	}
}

// read reads all that can be read.
func (r *revisions) read(ctx context.Context, b bucket) error {
	err := r.d.leaves(ctx, b, r.collect)
	r.judge()
	return err
}

func (r *revisions) collect(p page) {
	for i := p.count - 1; i >= 0; i-- {
		key, data, ok := p.leaf(i)
		switch {
		case !ok:
			r.d.faults.add(p.id, "element %d points outside of the page", i)
		case p.isBucket(i):
			r.d.faults.add(p.id, "element %d is a bucket", i)
		default:
			r.elements = append(r.elements, element{page: p.id, index: i, key: key, data: data})
			if len(r.elements) == batchSize {
				r.judge()
			}
		}
	}
}

// judge takes what was collected.
func (r *revisions) judge() {
	const line = 64 // bytes that come from memory at once
	for i := range r.elements {
		e := &r.elements[i]
		if len(e.key) > 0 && len(e.data) > line {
			r.touched += uint64(e.key[0]) + uint64(e.data[0]) + uint64(e.data[line])
		}
	}
	r.hashes = r.hashes[:0]
	for i := range r.elements {
		e := &r.elements[i]
		r.order.check(e.page, e.index, e.key)
		r.parse(e)
		r.hashes = append(r.hashes, r.seen.hash(e.kv.key))
	}
	for _, hash := range r.hashes {
		r.touched += r.seen.near(hash)
	}
	for i, e := range r.elements {
		if !e.ok {
			continue
		}
		if isCurrent := r.seen.add(r.hashes[i]); !e.tombstone {
			r.take(found{key: e.kv.key, value: e.kv.value, current: isCurrent})
		}
	}
	r.elements = r.elements[:0]
}

func (r *revisions) parse(e *element) {
	revision, tombstone, ok := parseRevision(e.key)
	if !ok {
		r.d.faults.add(e.page, "the key of element %d is no revision", e.index)
		return
	}
	e.tombstone = tombstone
	e.kv, e.ok = parseKeyValue(e.data)
	switch {
	case !e.ok, len(e.kv.key) == 0:
		r.d.faults.add(e.page, "revision %d is no stored object", revision)
		e.ok = false
	case !tombstone && e.kv.modRevision != revision:
		r.d.faults.add(e.page, "revision %d says that it is %d", revision, e.kv.modRevision)
		e.ok = false
	default:
		r.newest = max(r.newest, revision)
		r.count++
	}
}

// settings reads the small buckets, which say what the store is. Those of authentication
// have hashes of passwords and are passed by; their pages are claimed all the same.
type settings struct {
	compactRevision                int64
	storageVersion, clusterVersion string
}

// longestVersion is above any; what is longer is none.
const longestVersion = 64

func (s *settings) read(ctx context.Context, d *database, b bucket) error {
	order := order{d: d}
	return d.leaves(ctx, b, func(p page) {
		for i := p.count - 1; i >= 0; i-- {
			key, value, ok := p.leaf(i)
			if !ok {
				d.faults.add(p.id, "element %d points outside of the page", i)
				continue
			}
			order.check(p.id, i, key)
			s.take(b.name, string(key), value)
		}
	})
}

func (s *settings) take(bucket, key string, value []byte) {
	switch {
	case bucket == "meta" && key == "scheduledCompactRev":
		if revision, _, ok := parseRevision(value); ok {
			s.compactRevision = revision
		}
	case bucket == "meta" && key == "storageVersion" && version(value):
		s.storageVersion = string(value)
	case bucket == "cluster" && key == "clusterVersion" && version(value):
		s.clusterVersion = string(value)
	}
}

// version says whether bytes of a file are a version, and so fit for a terminal.
func version(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '.' && c != '-' && c != '+' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= longestVersion
}
