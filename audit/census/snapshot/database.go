package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
)

// A database is the bbolt file inside a mapping, read page by page. bbolt itself is not
// used: it panics on pages that are damaged, and it tells nothing about those that are free.
type database struct {
	data   []byte // without the trailer
	meta   meta
	faults faults

	// reached are the pages that the current state consists of, and heads those of them that
	// have a header, the others being overflow.
	reached, heads bitset
	buckets        []bucket
}

// A bucket is one of etcd's. Its elements are on the pages below root or, where that is 0, inline.
type bucket struct {
	name   string
	root   uint64
	inline page
}

// faults are where the file is not what etcd writes. The first are kept, all are counted.
type faults struct {
	first []string
	count int
}

// mostFaults is how many are kept. A damaged file can have one on every page.
const mostFaults = 20

func (f *faults) add(page uint64, format string, args ...any) {
	f.count++
	if len(f.first) < mostFaults {
		f.first = append(f.first, fmt.Sprintf("page %d: ", page)+fmt.Sprintf(format, args...))
	}
}

// openDatabase reads the meta pages and the list of buckets. It fails only when the file is
// no bbolt database at all.
func openDatabase(ctx context.Context, data []byte) (*database, error) {
	d := &database{data: data}
	if err := d.readMeta(); err != nil {
		return nil, err
	}
	pages := d.pages()
	if whole := uint64(len(data) / d.meta.pageSize); d.meta.highWater > whole { //nolint:gosec // it is not negative
		d.faults.add(whole, "the file is cut off: it has %d pages of %d", whole, d.meta.highWater)
	} else if rest := len(data) % d.meta.pageSize; rest != 0 {
		d.faults.add(pages-1, "%d bytes at the end of the file are neither a page nor a SHA-256", rest)
	}
	d.reached, d.heads = newBitset(pages), newBitset(pages)
	d.mark(0, 1)
	d.mark(1, 1)
	d.readFreelist()
	return d, d.walk(ctx, d.meta.root, d.readBuckets)
}

// pages is how many the file has, the last of which may be cut off.
func (d *database) pages() uint64 {
	size := uint64(d.meta.pageSize) //nolint:gosec // a page size is not negative
	return (uint64(len(d.data)) + size - 1) / size
}

// readMeta takes the newer of the two valid meta pages, as bbolt does.
func (d *database) readMeta() error {
	first, err := metaAt(d.data, 0)
	if err != nil {
		second, at := d.findSecond()
		if at == 0 {
			return err
		}
		d.meta = second
		d.faults.add(0, "meta page 0: %v", err)
		return nil
	}
	d.meta = first
	second, err := metaAt(d.data, first.pageSize)
	switch {
	case err != nil:
		d.faults.add(1, "meta page 1: %v", err)
	case second.pageSize != first.pageSize:
		d.faults.add(1, "meta page 1: a page size of %d, and of %d in meta page 0", second.pageSize, first.pageSize)
	case second.txid > first.txid:
		d.meta = second
	}
	return nil
}

// findSecond finds the second meta page where the first, which says how large pages are, is damaged.
func (d *database) findSecond() (m meta, at int) {
	for size := minPageSize; size <= maxPageSize; size *= 2 {
		if m, err := metaAt(d.data, size); err == nil && m.pageSize == size {
			return m, size
		}
	}
	return meta{}, 0
}

func metaAt(data []byte, at int) (meta, error) {
	if len(data) < at+pageHeaderSize+metaSize {
		return meta{}, fmt.Errorf("too short for a bbolt database")
	}
	return parseMeta(data[at+pageHeaderSize:])
}

// pageAt reads a page and claims it and its overflow. It returns false, and has told the
// fault, when that cannot be: it is outside, damaged, or used a second time.
func (d *database) pageAt(id uint64) (page, bool) {
	if id < 2 || id >= d.meta.highWater || id >= d.pages() {
		d.faults.add(id, "outside of the file, which uses %d pages and has %d", d.meta.highWater, d.pages())
		return page{}, false
	}
	p, err := parsePage(d.data[id*uint64(d.meta.pageSize):], d.meta.pageSize) //nolint:gosec // a page size is small
	switch {
	case err != nil:
		d.faults.add(id, "%v", err)
		return page{}, false
	case p.id != id:
		d.faults.add(id, "it says that it is page %d", p.id)
		return page{}, false
	}
	n := uint64(len(p.data) / d.meta.pageSize) //nolint:gosec // it is not negative
	if !d.mark(id, n) {
		d.faults.add(id, "used a second time")
		return page{}, false
	}
	return p, true
}

// mark claims n pages from id on.
func (d *database) mark(id, n uint64) bool {
	for i := id; i < id+n; i++ {
		if d.reached.has(i) {
			return false
		}
	}
	for i := id; i < id+n; i++ {
		d.reached.set(i)
	}
	d.heads.set(id)
	return true
}

// readFreelist claims the pages of the list of free pages. The list itself is not believed:
// what no bucket leads to is free.
func (d *database) readFreelist() {
	if d.meta.freelist == noFreelist {
		return
	}
	if p, ok := d.pageAt(d.meta.freelist); ok && p.flags != freelistPage {
		d.faults.add(p.id, "flags %#x where the freelist has %#x", p.flags, freelistPage)
	}
}

// mostBuckets is far above the eleven that etcd has.
const mostBuckets = 100

// readBuckets reads a leaf page of the bucket of buckets.
func (d *database) readBuckets(p page) {
	for i := range p.count {
		name, value, ok := p.leaf(i)
		if !ok || !p.isBucket(i) || len(value) < bucketSize {
			d.faults.add(p.id, "element %d is no bucket", i)
			continue
		}
		if len(d.buckets) == mostBuckets {
			d.faults.add(p.id, "more than %d buckets", mostBuckets)
			return
		}
		b := bucket{name: string(name), root: binary.LittleEndian.Uint64(value)}
		if b.root == 0 {
			inline, err := parseInline(value[bucketSize:])
			if err != nil {
				d.faults.add(p.id, "bucket %.32q: %v", b.name, err)
				continue
			}
			inline.id = p.id
			b.inline = inline
		}
		d.buckets = append(d.buckets, b)
	}
}

// bucket finds one by its name.
func (d *database) bucket(name string) (bucket, bool) {
	for _, b := range d.buckets {
		if b.name == name {
			return b, true
		}
	}
	return bucket{}, false
}

// leaves calls visit with every leaf page of a bucket that can be read, the last first.
func (d *database) leaves(ctx context.Context, b bucket, visit func(page)) error {
	if b.root == 0 {
		visit(b.inline)
		return ctx.Err()
	}
	return d.walk(ctx, b.root, visit)
}

// deepest is far above the depth of any tree: one of 8 GiB has four or five levels.
const deepest = 32

// walk visits the leaf pages below a page, the last first. It ends because no page is
// visited twice. Only ctx makes it fail.
func (d *database) walk(ctx context.Context, root uint64, visit func(page)) error {
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
			visit(p)
		case p.flags != branchPage:
			d.faults.add(at.id, "flags %#x, which are neither a branch's nor a leaf's", p.flags)
		case p.count == 0 || at.depth == deepest:
			d.faults.add(at.id, "a branch with %d elements, %d levels below the root", p.count, at.depth)
		default:
			for i := range p.count {
				child, _, ok := p.child(i)
				if !ok {
					d.faults.add(at.id, "element %d points outside of the page", i)
					continue
				}
				pending = append(pending, step{id: child, depth: at.depth + 1})
			}
		}
	}
	return nil
}

// order finds keys of a bucket that are not in order, when it is given all of them from the
// last to the first.
type order struct {
	d     *database
	after []byte
}

func (o *order) check(page uint64, element int, key []byte) {
	if o.after != nil && bytes.Compare(key, o.after) >= 0 {
		o.d.faults.add(page, "element %d is out of order", element)
	}
	o.after = key
}

// bitset has one bit for each page: 256 KiB for a database of 8 GiB.
type bitset []uint64

func newBitset(n uint64) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i uint64) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitset) set(i uint64)      { b[i/64] |= 1 << (i % 64) }
