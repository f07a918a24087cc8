package etcddb

import (
	"context"
	"errors"
)

// Revision is a value that the store had under a key of etcd. Its slices are parts of the file.
type Revision struct {
	Key, Value []byte
	Current    bool // no later revision overwrites or deletes it
}

// Store describes a database, from its own content.
type Store struct {
	Revision        int64 // the newest, or that of the last compaction; 1 of a store to which nothing was written
	Revisions       int64 // their number, with deletions
	CompactRevision int64
	StorageVersion  string // empty if the database does not have it
	ClusterVersion  string
	Membership      Membership
}

// ErrForeign means that a bbolt database is not from etcd.
var ErrForeign = errors.New("a bbolt database, but not of etcd: it has no bucket \"key\"")

// Read calls take with every revision except deletions, the newest one first, and reads the other
// buckets. It reads as much of a damaged file as it can, and adds to Faults. It fails only if ctx ends
// or the database is not from etcd.
func (d *Database) Read(ctx context.Context, take func(Revision)) (Store, error) {
	keys, ok := d.bucket("key")
	if !ok && d.Faults.Count == 0 {
		return Store{}, ErrForeign
	}
	r := newRevisions(d, take)
	if err := r.read(ctx, keys); err != nil {
		return Store{}, err
	}
	var set settings
	for _, b := range d.buckets {
		if b.name == keys.name {
			continue
		}
		if err := set.read(ctx, d, b); err != nil {
			return Store{}, err
		}
	}
	s := Store{
		Revision:  max(r.newest, set.compactRevision), // compaction may have removed the newest, if that was a deletion
		Revisions: r.count, CompactRevision: set.compactRevision, StorageVersion: set.storageVersion, ClusterVersion: set.clusterVersion,
		Membership: set.endMembership(d),
	}
	if d.Faults.Count == 0 {
		s.Revision = max(s.Revision, 1)
	}
	return s, nil
}

// revisions reads the bucket "key", the newest revision first. The first revision of an etcd key is
// then its current one, so one pass is enough.
//
// Most of the time is waiting for memory, because the revisions are spread over the file. So the
// elements are collected first, and each step is then done for all of them: a processor can wait for
// many addresses at once if there is no other work between them.
type revisions struct {
	d     *Database
	seen  *keySet
	order orderCheck
	take  func(Revision)

	elements []element
	hashes   []uint64
	touched  uint64 // what keeps the compiler from leaving out a load

	newest int64
	count  int64
}

// element is an element of a leaf page.
type element struct {
	page      uint64
	index     int
	key, data []byte
	kv        keyValue
	tombstone bool
	ok        bool
}

// batchSize limits how many elements are processed at once.
const batchSize = 1024

func newRevisions(d *Database, take func(Revision)) *revisions {
	return &revisions{
		d: d, seen: newKeySet(), order: orderCheck{d: d}, take: take,
		elements: make([]element, 0, batchSize), hashes: make([]uint64, 0, batchSize),
	}
}

// read reads all readable elements of a bucket.
func (r *revisions) read(ctx context.Context, b bucket) error {
	err := r.d.walkLeaves(ctx, b, func(p page) error { return r.collect(ctx, p) })
	r.judge()
	return err
}

func (r *revisions) collect(ctx context.Context, p page) error {
	for c := p.backward(); ; {
		i, key, data, ok := c.previous(&r.d.Faults)
		if !ok {
			return nil
		}
		if p.isBucket(i) {
			r.d.Faults.add(p.id, "element %d is a bucket", i)
			continue
		}
		r.elements = append(r.elements, element{page: p.id, index: i, key: key, data: data})
		if len(r.elements) < batchSize {
			continue
		}
		r.judge()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// judge processes the collected elements.
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
		r.touched += r.seen.slot(hash)
	}
	for i, e := range r.elements {
		if !e.ok {
			continue
		}
		if isCurrent := r.seen.add(r.hashes[i]); !e.tombstone {
			r.take(Revision{Key: e.kv.key, Value: e.kv.value, Current: isCurrent})
		}
	}
	r.elements = r.elements[:0]
}

func (r *revisions) parse(e *element) {
	revision, tombstone, ok := parseRevision(e.key)
	if !ok {
		r.d.Faults.add(e.page, "the key of element %d is no revision", e.index)
		return
	}
	e.tombstone = tombstone
	e.kv, e.ok = parseKeyValue(e.data)
	switch {
	case !e.ok, len(e.kv.key) == 0:
		r.d.Faults.add(e.page, "revision %d is no stored object", revision)
		e.ok = false
	case !tombstone && e.kv.modRevision != revision:
		r.d.Faults.add(e.page, "revision %d says that it is %d", revision, e.kv.modRevision)
		e.ok = false
	default:
		r.newest = max(r.newest, revision)
		r.count++
	}
}

// settings reads the small buckets, which describe the store. It skips the buckets of
// authentication, which have password hashes, but marks their pages as used.
type settings struct {
	compactRevision                int64
	storageVersion, clusterVersion string
	membership                     Membership
}

// maxVersionLength limits the text of a version, in bytes.
const maxVersionLength = 64

func (s *settings) read(ctx context.Context, d *Database, b bucket) error {
	order := orderCheck{d: d}
	return d.walkLeaves(ctx, b, func(p page) error {
		for c := p.backward(); ctx.Err() == nil; {
			i, key, value, ok := c.previous(&d.Faults)
			if !ok {
				return nil
			}
			order.check(p.id, i, key)
			s.take(b.name, string(key), value)
		}
		return ctx.Err()
	})
}

func (s *settings) take(bucket, key string, value []byte) {
	switch {
	case bucket == "members", bucket == "members_removed", bucket == "meta" && key == "confState":
		s.membership.takeMember(bucket, key, value)
	case bucket == "meta" && key == "scheduledCompactRev":
		if revision, _, ok := parseRevision(value); ok {
			s.compactRevision = revision
		}
	case bucket == "meta" && key == "storageVersion" && isVersion(value):
		s.storageVersion = string(value)
	case bucket == "cluster" && key == "clusterVersion" && isVersion(value):
		s.clusterVersion = string(value)
	}
}

// isVersion reports whether bytes are a version, and so safe to print on a terminal.
func isVersion(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '.' && c != '-' && c != '+' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxVersionLength
}
