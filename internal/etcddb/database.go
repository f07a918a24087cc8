package etcddb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
)

// Database reads the bbolt file of etcd page by page. It does not use bbolt, which panics on
// damaged pages and gives no access to free pages.
type Database struct {
	Faults Faults // the faults so far

	data []byte // without the digest
	meta meta

	// reached has the pages of the current state, and heads those of them with a header. The others
	// are overflow pages.
	reached, heads bitset
	marked         uint64 // how many pages mark has looked at
	buckets        []bucket
}

// A bucket is one bucket of etcd. Its elements are on the pages below root, or inline if root is 0.
type bucket struct {
	name   string
	root   uint64
	inline page
}

// Faults collects differences from what etcd writes. It keeps the first ones and counts all.
type Faults struct {
	First []string // each with its page
	Count int
}

// maxFaults limits how many faults are kept. A damaged file can have one on every page.
const maxFaults = 20

func (f *Faults) add(page uint64, format string, args ...any) {
	f.Count++
	if len(f.First) < maxFaults {
		f.First = append(f.First, fmt.Sprintf("page %d: ", page)+fmt.Sprintf(format, args...))
	}
}

// Open reads the meta pages and the list of buckets of a file without its digest. It fails only
// if the file is not a bbolt database. All other faults are in Faults.
func Open(ctx context.Context, data []byte) (*Database, error) {
	d := &Database{data: data}
	if err := d.readMeta(); err != nil {
		return nil, err
	}
	pages := d.pages()
	if whole := uint64(len(data) / d.meta.pageSize); d.meta.highWater > whole { //nolint:gosec // it is not negative
		d.Faults.add(whole, "the file is cut off: it has %d pages of %d", whole, d.meta.highWater)
	} else if rest := len(data) % d.meta.pageSize; rest != 0 {
		d.Faults.add(pages-1, "%d bytes at the end of the file are neither a page nor a SHA-256", rest)
	}
	d.reached, d.heads = newBitset(pages), newBitset(pages)
	d.mark(0, 1)
	d.mark(1, 1)
	d.readFreelist()
	return d, d.walk(ctx, d.meta.root, d.readBuckets)
}

// PageSize returns the size of a page in bytes.
func (d *Database) PageSize() int { return d.meta.pageSize }

// Pages returns the number of pages in the file. The last one may be cut off.
func (d *Database) Pages() uint64 { return d.pages() }

func (d *Database) pages() uint64 {
	size := uint64(d.meta.pageSize) //nolint:gosec // a page size is not negative
	return (uint64(len(d.data)) + size - 1) / size
}

// readMeta reads the newer of the two valid meta pages, as bbolt does.
func (d *Database) readMeta() error {
	first, err := metaAt(d.data, 0)
	if err != nil {
		second, at := d.findSecond()
		if at == 0 {
			return err
		}
		d.meta = second
		d.Faults.add(0, "meta page 0: %v", err)
		return nil
	}
	d.meta = first
	second, err := metaAt(d.data, first.pageSize)
	switch {
	case err != nil:
		d.Faults.add(1, "meta page 1: %v", err)
	case second.pageSize != first.pageSize:
		d.Faults.add(1, "meta page 1: a page size of %d, and of %d in meta page 0", second.pageSize, first.pageSize)
	case second.txid > first.txid:
		d.meta = second
	}
	return nil
}

// findSecond finds the second meta page if the first one, which has the page size, is damaged.
func (d *Database) findSecond() (m meta, at int) {
	for size := minPageSize; size <= maxPageSize; size *= 2 {
		if m, err := metaAt(d.data, size); err == nil && m.pageSize == size {
			return m, size
		}
	}
	return meta{}, 0
}

// headFault returns why a file with this size and these first bytes, both meta pages among them, is no
// complete bbolt database; empty if it is one. A file that is shorter than its pages was cut off.
func headFault(head []byte, size int64) string {
	if size == 0 {
		return "empty"
	}
	d := Database{data: head}
	if err := d.readMeta(); err != nil {
		return "not a bbolt database"
	}
	if d.meta.highWater > uint64(size)/uint64(d.meta.pageSize) { //nolint:gosec // neither is negative
		return fmt.Sprintf("cut off: it has %d bytes, but %d pages of %d bytes", size, d.meta.highWater, d.meta.pageSize)
	}
	return ""
}

func metaAt(data []byte, at int) (meta, error) {
	if len(data) < at+pageHeaderSize+metaSize {
		return meta{}, fmt.Errorf("too short for a bbolt database")
	}
	return parseMeta(data[at+pageHeaderSize:])
}

// pageAt reads a page, and marks it and its overflow as used. If the page is outside the file,
// damaged, or used a second time, it adds a fault and returns false.
func (d *Database) pageAt(id uint64) (page, bool) {
	if id < 2 || id >= d.meta.highWater || id >= d.pages() {
		d.Faults.add(id, "outside of the file, which uses %d pages and has %d", d.meta.highWater, d.pages())
		return page{}, false
	}
	p, err := parsePage(d.data[id*uint64(d.meta.pageSize):], d.meta.pageSize) //nolint:gosec // a page size is small
	switch {
	case err != nil:
		d.Faults.add(id, "%v", err)
		return page{}, false
	case p.id != id:
		d.Faults.add(id, "it says that it is page %d", p.id)
		return page{}, false
	}
	n := uint64(len(p.data) / d.meta.pageSize) //nolint:gosec // it is not negative
	if !d.mark(id, n) {
		d.Faults.add(id, "used a second time")
		return page{}, false
	}
	return p, true
}

// maxClaims limits how often the pages are claimed, on average. A whole file claims each page once. In
// a file made for it, many claims would be long and fail at their end.
const maxClaims = 8

// mark marks n pages as used, from id on. It reports whether all of them were unused.
func (d *Database) mark(id, n uint64) bool {
	for i := id; i < id+n; i++ {
		if d.marked++; d.reached.has(i) || d.marked > maxClaims*d.pages() {
			return false
		}
	}
	for i := id; i < id+n; i++ {
		d.reached.set(i)
	}
	d.heads.set(id)
	return true
}

// readFreelist marks the pages of the list of free pages as used. It does not trust the list: a
// page is free if no bucket leads to it.
func (d *Database) readFreelist() {
	if d.meta.freelist == noFreelist {
		return
	}
	if p, ok := d.pageAt(d.meta.freelist); ok && p.flags != freelistPage {
		d.Faults.add(p.id, "flags %#x where the freelist has %#x", p.flags, freelistPage)
	}
}

// maxBuckets limits the number of buckets. etcd has eleven.
const maxBuckets = 100

// readBuckets reads a leaf page of the bucket of buckets.
func (d *Database) readBuckets(p page) error {
	for c := p.backward(); ; {
		i, name, value, ok := c.previous(&d.Faults)
		if !ok {
			return nil
		}
		if !p.isBucket(i) || len(value) < bucketSize {
			d.Faults.add(p.id, "element %d is no bucket", i)
			continue
		}
		if len(d.buckets) == maxBuckets {
			d.Faults.add(p.id, "more than %d buckets", maxBuckets)
			return nil
		}
		b := bucket{name: string(name), root: binary.LittleEndian.Uint64(value)}
		if b.root == 0 {
			inline, err := parseInline(value[bucketSize:])
			if err != nil {
				d.Faults.add(p.id, "bucket %.32q: %v", b.name, err)
				continue
			}
			inline.id = p.id
			b.inline = inline
		}
		d.buckets = append(d.buckets, b)
	}
}

// bucket returns the bucket with a name.
func (d *Database) bucket(name string) (bucket, bool) {
	for _, b := range d.buckets {
		if b.name == name {
			return b, true
		}
	}
	return bucket{}, false
}

// walkLeaves calls visit with every readable leaf page of a bucket, the last one first.
func (d *Database) walkLeaves(ctx context.Context, b bucket, visit func(page) error) error {
	if b.root == 0 {
		return visit(b.inline)
	}
	return d.walk(ctx, b.root, visit)
}

// maxDepth limits the depth of a tree. The tree of a database of 8 GiB has four or five levels.
const maxDepth = 32

// walk visits the leaf pages below a page, the last one first. It ends because it visits no page
// twice. It fails only if ctx ends or visit fails.
func (d *Database) walk(ctx context.Context, root uint64, visit func(page) error) error {
	type step struct {
		id    uint64
		depth int
	}
	pending := []step{{id: root}}
	for len(pending) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		p, ok := d.pageAt(at.id)
		switch {
		case !ok:
		case p.flags == leafPage:
			if err := visit(p); err != nil {
				return err
			}
		case p.flags != branchPage:
			d.Faults.add(at.id, "flags %#x, which are neither a branch's nor a leaf's", p.flags)
		case p.count == 0 || at.depth == maxDepth:
			d.Faults.add(at.id, "a branch with %d elements, %d levels below the root", p.count, at.depth)
		default:
			for i := range p.count {
				child, _, ok := p.child(i)
				if !ok {
					d.Faults.add(at.id, "element %d points outside of the page", i)
					continue
				}
				pending = append(pending, step{id: child, depth: at.depth + 1})
			}
		}
	}
	return nil
}

// orderCheck finds keys of a bucket that are not in order. It must get all keys, from the last to
// the first.
type orderCheck struct {
	d     *Database
	after []byte
}

func (o *orderCheck) check(page uint64, element int, key []byte) {
	if o.after != nil && bytes.Compare(key, o.after) >= 0 {
		o.d.Faults.add(page, "element %d is out of order", element)
	}
	o.after = key
}

// bitset has one bit for each page: 256 KiB for a database of 8 GiB.
type bitset []uint64

func newBitset(n uint64) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i uint64) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitset) set(i uint64)      { b[i/64] |= 1 << (i % 64) }
