package etcddb

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
)

// The format of a bbolt file (go.etcd.io/bbolt internal/common: page.go, meta.go, bucket.go).
// Numbers are in the byte order of the machine that wrote it, which is little-endian
// wherever etcd runs.
const (
	pageHeaderSize = 16 // id 8, flags 2, count 2, overflow 4
	elementSize    = 16 // of a leaf: flags 4, position 4, key size 4, value size 4; of a branch: position 4, key size 4, page 8
	metaSize       = 64 // with its checksum, the last 8 bytes
	bucketSize     = 16 // root page 8, sequence 8

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	bucketElement = 0x01 // of a leaf element whose value is a bucket

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	minPageSize = 512 // bbolt takes any; no system has had smaller ones
	maxPageSize = 64 << 10

	// noFreelist is the freelist's page of a database that does not store it. etcd does not.
	noFreelist = math.MaxUint64
)

// meta is one of the two meta pages. The newer valid one describes the database.
type meta struct {
	pageSize  int
	root      uint64 // of the bucket that holds the buckets
	freelist  uint64
	highWater uint64 // the first page that was never used
	txid      uint64
}

// hasMagic reports whether a file begins like a bbolt database, whole or broken.
func hasMagic(head []byte) bool {
	return len(head) >= pageHeaderSize+4 && binary.LittleEndian.Uint32(head[pageHeaderSize:]) == boltMagic
}

// parseMeta reads what follows the header of a meta page.
func parseMeta(data []byte) (meta, error) {
	if len(data) < metaSize {
		return meta{}, fmt.Errorf("%d bytes where a meta page has %d", len(data), metaSize)
	}
	number := func(at int) uint64 { return binary.LittleEndian.Uint64(data[at:]) }
	if magic := binary.LittleEndian.Uint32(data); magic != boltMagic {
		return meta{}, fmt.Errorf("no bbolt database: magic number %#x", magic)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(data[:metaSize-8]) // a hash takes everything
	if sum.Sum64() != number(metaSize-8) {
		return meta{}, fmt.Errorf("its checksum does not match")
	}
	if version := binary.LittleEndian.Uint32(data[4:]); version != boltVersion {
		return meta{}, fmt.Errorf("version %d of the format; this program reads %d", version, boltVersion)
	}
	size := binary.LittleEndian.Uint32(data[8:])
	if size < minPageSize || size > maxPageSize || size&(size-1) != 0 {
		return meta{}, fmt.Errorf("a page size of %d", size)
	}
	return meta{pageSize: int(size), root: number(16), freelist: number(32), highWater: number(40), txid: number(48)}, nil
}

// A page includes its overflow pages.
type page struct {
	id    uint64
	flags uint16
	count int
	data  []byte // all of it, with the header
}

// parsePage reads the page at the beginning of data. It checks that the table of elements is inside
// the page.
func parsePage(data []byte, pageSize int) (page, error) {
	if len(data) < pageHeaderSize {
		return page{}, fmt.Errorf("cut off")
	}
	p := page{
		id:    binary.LittleEndian.Uint64(data),
		flags: binary.LittleEndian.Uint16(data[8:]),
		count: int(binary.LittleEndian.Uint16(data[10:])),
	}
	size := (uint64(binary.LittleEndian.Uint32(data[12:])) + 1) * uint64(pageSize) //nolint:gosec // a page size is small
	if size > uint64(len(data)) {
		return page{}, fmt.Errorf("%d bytes of %d are there", len(data), size)
	}
	p.data = data[:size]
	return p, p.checkTable()
}

// parseInline reads the page of a small bucket, which is inside the element of its parent.
func parseInline(data []byte) (page, error) {
	if len(data) < pageHeaderSize {
		return page{}, fmt.Errorf("cut off")
	}
	p := page{
		flags: binary.LittleEndian.Uint16(data[8:]),
		count: int(binary.LittleEndian.Uint16(data[10:])),
		data:  data,
	}
	if p.flags != leafPage {
		return page{}, fmt.Errorf("flags %#x where a leaf has %#x", p.flags, leafPage)
	}
	return p, p.checkTable()
}

func (p page) checkTable() error {
	if p.flags != leafPage && p.flags != branchPage {
		return nil
	}
	if table := pageHeaderSize + p.count*elementSize; table > len(p.data) {
		return fmt.Errorf("%d elements do not fit", p.count)
	}
	if p.count == 0 {
		return nil
	}
	// bbolt writes the first element right behind the table (node.go, write), so that a wrong
	// count is seen although everything is inside of the page.
	first := uint64(pageHeaderSize)
	if p.flags == leafPage {
		first, _, _, _ = p.leafSpan(0)
	} else {
		first += uint64(binary.LittleEndian.Uint32(p.data[pageHeaderSize:]))
	}
	if first != p.tableEnd() {
		return fmt.Errorf("%d elements, of which the first is not behind the table", p.count)
	}
	return nil
}

// leafSpan returns the offsets of the key and the value of an element of a leaf page.
func (p page) leafSpan(i int) (start, mid, end uint64, ok bool) {
	at := pageHeaderSize + i*elementSize
	e := p.data[at : at+elementSize]
	start = uint64(at) + uint64(binary.LittleEndian.Uint32(e[4:])) //nolint:gosec // an index is not negative
	mid = start + uint64(binary.LittleEndian.Uint32(e[8:]))
	end = mid + uint64(binary.LittleEndian.Uint32(e[12:]))
	return start, mid, end, start >= p.tableEnd() && end <= uint64(len(p.data))
}

// cursor goes through the elements of a leaf page, the last one first. bbolt writes the elements one
// behind the other, in the order of the table (node.go, write). A cursor returns no byte in two
// elements, so that to read all of them takes as long as the page is, whoever wrote it.
type cursor struct {
	page  page
	next  int
	limit uint64 // the beginning of the last element that was returned
	loose bool   // limit is not the end of the next element: there is none yet, or one was left out
}

func (p page) backward() cursor {
	return cursor{page: p, next: p.count - 1, limit: uint64(len(p.data)), loose: true}
}

// previous returns an element and its index; ok is false if there is none left. It leaves out an
// element that is not inside of the page, or reaches into another. It adds a fault for each element
// that is not where bbolt writes it.
func (c *cursor) previous(faults *Faults) (index int, key, value []byte, ok bool) {
	for ; c.next >= 0; c.loose = true {
		i := c.next
		c.next--
		start, mid, end, inside := c.page.leafSpan(i)
		switch {
		case !inside:
			faults.add(c.page.id, "element %d points outside of the page", i)
			continue
		case end > c.limit:
			faults.add(c.page.id, "element %d reaches into another one", i)
			continue
		case end < c.limit && !c.loose:
			faults.add(c.page.id, "element %d does not end where the next one begins", i)
		}
		c.limit, c.loose = start, false
		return i, c.page.data[start:mid], c.page.data[mid:end], true
	}
	return 0, nil, nil, false
}

// isBucket reports whether the value of an element of a leaf page is a bucket.
func (p page) isBucket(i int) bool {
	return binary.LittleEndian.Uint32(p.data[pageHeaderSize+i*elementSize:])&bucketElement != 0
}

// child returns the page that an element of a branch page points to, and the offset of the end of
// its key.
func (p page) child(i int) (id, keyEnd uint64, ok bool) {
	at := pageHeaderSize + i*elementSize
	e := p.data[at : at+elementSize]
	start := uint64(at) + uint64(binary.LittleEndian.Uint32(e)) //nolint:gosec // an index is not negative
	keyEnd = start + uint64(binary.LittleEndian.Uint32(e[4:]))
	return binary.LittleEndian.Uint64(e[8:]), keyEnd, start >= p.tableEnd() && keyEnd <= uint64(len(p.data))
}

func (p page) tableEnd() uint64 {
	return uint64(pageHeaderSize + p.count*elementSize) //nolint:gosec // neither is negative
}

// contentEnd returns the offset of the end of the page's content. After it there are bytes from the
// writer's memory.
func (p page) contentEnd() int {
	if p.flags != leafPage && p.flags != branchPage {
		return len(p.data)
	}
	last := p.tableEnd()
	for i := range p.count {
		var end uint64
		var ok bool
		if p.flags == leafPage {
			_, _, end, ok = p.leafSpan(i)
		} else {
			_, end, ok = p.child(i)
		}
		if ok {
			last = max(last, end)
		}
	}
	return int(last) //nolint:gosec // it is inside of data
}
