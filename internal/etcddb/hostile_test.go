package etcddb

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// craft writes databases that bbolt would not.
type craft struct {
	t    testing.TB
	data []byte
}

const craftedPage = 1024

// crafted is a database of a number of empty pages. Its bucket "key" is below page 3.
func crafted(t testing.TB, pages int) craft {
	t.Helper()
	c := craft{t, make([]byte, pages*craftedPage)}
	for id := range 2 {
		c.head(id, 0x04, 0, 0)
		meta := c.data[id*craftedPage+pageHeaderSize:]
		binary.LittleEndian.PutUint32(meta, boltMagic)
		binary.LittleEndian.PutUint32(meta[4:], boltVersion)
		binary.LittleEndian.PutUint32(meta[8:], craftedPage)
		binary.LittleEndian.PutUint64(meta[16:], 2)
		binary.LittleEndian.PutUint64(meta[32:], noFreelist)
		binary.LittleEndian.PutUint64(meta[40:], uint64(pages))
		binary.LittleEndian.PutUint64(meta[48:], uint64(id))
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:metaSize-8])
		binary.LittleEndian.PutUint64(meta[metaSize-8:], sum.Sum64())
	}
	c.head(2, leafPage, 1, 0)
	c.leaf(2, 0, elementSize, 3, bucketSize, bucketElement)
	at := 2*craftedPage + pageHeaderSize + elementSize
	copy(c.data[at:], "key")
	binary.LittleEndian.PutUint64(c.data[at+3:], 3)
	return c
}

func (c craft) head(id int, flags, count, overflow int) {
	at := c.data[id*craftedPage:]
	binary.LittleEndian.PutUint64(at, uint64(id))
	binary.LittleEndian.PutUint16(at[8:], uint16(flags))
	binary.LittleEndian.PutUint16(at[10:], uint16(count))
	binary.LittleEndian.PutUint32(at[12:], uint32(overflow))
}

// leaf writes an element of a leaf, whose content is so far behind the element.
func (c craft) leaf(id, element, behind, key, value, flags int) {
	at := c.data[id*craftedPage+pageHeaderSize+element*elementSize:]
	binary.LittleEndian.PutUint32(at, uint32(flags))
	binary.LittleEndian.PutUint32(at[4:], uint32(behind))
	binary.LittleEndian.PutUint32(at[8:], uint32(key))
	binary.LittleEndian.PutUint32(at[12:], uint32(value))
}

func (c craft) child(id, element, behind, child int) {
	at := c.data[id*craftedPage+pageHeaderSize+element*elementSize:]
	binary.LittleEndian.PutUint32(at, uint32(behind))
	binary.LittleEndian.PutUint64(at[8:], uint64(child))
}

// work reads all of a database, and fails the test if that takes more work than a file of its size may
// cost: no byte is in two elements, and pages are claimed in proportion to their number.
func work(t *testing.T, data []byte) *Database {
	t.Helper()
	d, err := Open(t.Context(), data)
	if err != nil {
		return nil
	}
	elements, size := 0, 0
	keys, _ := d.bucket("key")
	if err := d.walkLeaves(t.Context(), keys, func(p page) error {
		for c := p.backward(); ; {
			_, key, value, ok := c.previous(&d.Faults)
			if !ok {
				return nil
			}
			elements++
			size += len(key) + len(value)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if size > len(data) || elements > len(data)/elementSize {
		t.Fatalf("%d elements with %d bytes in a file of %d", elements, size, len(data))
	}
	// A claim that fails looks at one page more than there may be.
	if most := maxClaims*d.pages() + uint64(len(data)/elementSize) + 2; d.marked > most {
		t.Fatalf("%d pages were looked at of %d", d.marked, d.pages())
	}
	readAny(t, data)
	return d
}

// Elements that lie in one another would each be read whole.
func TestElementsInOneAnother(t *testing.T) {
	const elements, overflow = 4000, 200
	for name, behind := range map[string]func(i int) int{
		"one place":   func(i int) int { return (elements - i) * elementSize },
		"descending":  func(i int) int { return (elements-i)*elementSize + 2*(elements-i) },
		"to one end":  func(i int) int { return (elements-i)*elementSize + 4*i },
		"to no place": func(int) int { return math.MaxUint32 },
	} {
		t.Run(name, func(t *testing.T) {
			c := crafted(t, 4+overflow)
			c.head(3, leafPage, elements, overflow)
			for i := range elements {
				end := (overflow+1)*craftedPage - 64
				start := pageHeaderSize + i*elementSize + behind(i)
				c.leaf(3, i, behind(i), revisionSize, max(end-start-revisionSize, 0), 0)
			}
			c.leaf(3, 0, elements*elementSize, revisionSize, 1, 0) // what the page is known by
			d := work(t, c.data)
			if d == nil || d.Faults.Count < elements/2 {
				t.Errorf("%+v", d)
			}
		})
	}
}

// Pages whose overflow ends in a page that is used would be looked at to their end, by each branch.
func TestClaimsOfOnePage(t *testing.T) {
	const pages, children = 3000, 60
	c := crafted(t, pages)
	c.head(3, branchPage, children, 0)
	for i := range children {
		c.child(3, i, (children-i)*elementSize, 4+i)
		c.head(4+i, branchPage, children, 0)
		for j := range children {
			c.child(4+i, j, (children-j)*elementSize, 100+(i*children+j)%(pages-200))
		}
	}
	for id := 100; id < pages-100; id++ {
		c.head(id, leafPage, 0, pages-1-id-(id%7))
	}
	d := work(t, c.data)
	if d == nil || d.Faults.Count < children {
		t.Errorf("%+v", d)
	}
}

// FuzzStructure makes a database of pages that share pages, point to one another, and have elements
// that lie in one another.
func FuzzStructure(f *testing.F) {
	f.Add([]byte{0x03, 0x01, 4, 0, 0x13, 4, 5, 0, 0x23, 0, 3, 3})
	f.Add([]byte(strings.Repeat("\x01\x08\x03\x05", 20)))
	f.Add([]byte(fmt.Sprint(math.Pi, math.E, math.Sqrt2, math.Ln2)))
	f.Fuzz(func(t *testing.T, plan []byte) {
		const pages = 64
		c := crafted(t, pages)
		next := func() int {
			if len(plan) == 0 {
				return 0
			}
			b := plan[0]
			plan = plan[1:]
			return int(b)
		}
		for id := 3; id < pages && len(plan) > 0; id++ {
			kind, count := next(), next()%(craftedPage/elementSize-1)
			overflow := (kind >> 4) % 8
			if kind&1 == 0 {
				c.head(id, leafPage, count, overflow)
				end := (min(overflow, pages-1-id)+1)*craftedPage - pageHeaderSize
				for i := range count {
					behind := (count - i) * elementSize
					length := 20
					switch step := next(); {
					case i == 0:
					case kind&2 != 0: // all in one place
						length = max(end-count*elementSize, 20)
					case kind&4 != 0:
						behind += step
					default:
						behind += i * length
					}
					c.leaf(id, i, behind, revisionSize, length-revisionSize, kind>>3&1)
				}
			} else {
				c.head(id, branchPage, count, overflow)
				for i := range count {
					c.child(id, i, (count-i)*elementSize, next()%pages)
				}
			}
		}
		work(t, c.data)
	})
}

// Whoever waits no longer gets an error, and not the rest of the file.
func TestReadInterrupted(t *testing.T) {
	data := tinyDatabase(t)
	d, err := Open(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "packed.gz")
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(f)
	if _, err := w.Write(data); err != nil || w.Close() != nil || f.Close() != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, read := range map[string]func() error{
		"free pages": func() error {
			_, _, err := d.Unused(ended, func([]byte, int) error { return nil })
			return err
		},
		"revisions": func() error {
			_, err := d.Read(ended, func(Revision) {})
			return err
		},
		"a packed file": func() error {
			_, err := OpenFile(ended, packed)
			return err
		},
		"the head of one": func() error {
			_, err := SnapshotFault(ended, packed)
			return err
		},
	} {
		if err := read(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that is nearly all hole is refused: to read it takes hours, and it is no file of etcd.
func TestSparse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse.db")
	if err := os.WriteFile(path, tinyDatabase(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int64]string{64 << 20: "", 1 << 40: "bytes, of which"} {
		if err := os.Truncate(path, size); err != nil {
			t.Skipf("the disk has no such file: %v", err)
		}
		f, err := OpenFile(t.Context(), path)
		if err == nil {
			f.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
