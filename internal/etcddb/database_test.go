package etcddb

import (
	"encoding/binary"
	"strings"
	"testing"
)

// pageOf finds the first page of a kind in the bucket "key": the branch, or a leaf below it.
func pageOf(t *testing.T, data []byte, flags uint16) page {
	t.Helper()
	d, err := Open(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := d.bucket("key")
	var leaf page
	if err := d.walkLeaves(t.Context(), keys, func(p page) error { leaf = p; return nil }); err != nil {
		t.Fatal(err)
	}
	root, err := parsePage(data[keys.root*uint64(d.meta.pageSize):], d.meta.pageSize)
	if err != nil || root.flags != branchPage || leaf.count < 2 {
		t.Fatalf("the tree is not as deep as this test wants it: %v", err)
	}
	if flags == branchPage {
		return root
	}
	return leaf
}

func elementOf(p page, i int) (key, value []byte) {
	start, mid, end, _ := p.leafSpan(i)
	return p.data[start:mid], p.data[mid:end]
}

// Each way in which a page is not what etcd writes is told by its own words.
func TestFaults(t *testing.T) {
	cases := []struct {
		name   string
		flags  uint16
		damage func(p page)
		want   string
	}{
		{"none", leafPage, func(page) {}, ""},
		{"an element is lost", leafPage, func(p page) { p.data[10]-- }, "the first is not behind the table"},
		{"a child is lost", branchPage, func(p page) { p.data[10]-- }, "the first is not behind the table"},
		{"too many elements", leafPage, func(p page) { p.data[11] = 0xff }, "elements do not fit"},
		{"another page", leafPage, func(p page) { p.data[0]++ }, "it says that it is page"},
		{"another kind", leafPage, func(p page) { p.data[8] = 0x40 }, "neither a branch's nor a leaf's"},
		{"overflow", leafPage, func(p page) { p.data[13] = 1 }, "are there"},
		{"a page twice", branchPage, func(p page) {
			copy(p.data[pageHeaderSize+8:][:8], p.data[pageHeaderSize+elementSize+8:])
		}, "used a second time"},
		{"a page outside", branchPage, func(p page) { p.data[pageHeaderSize+elementSize+11] = 1 }, "outside of the file"},
		{"no order", leafPage, func(p page) {
			key, _ := elementOf(p, 1)
			binary.BigEndian.PutUint64(key, 0)
		}, "is out of order"},
		{"no revision", leafPage, func(p page) {
			key, _ := elementOf(p, 0)
			key[8] = '-'
		}, "is no revision"},
		{"another revision", leafPage, func(p page) {
			key, _ := elementOf(p, 0)
			key[0] = 0x01
		}, "says that it is"},
		{"no object", leafPage, func(p page) {
			_, value := elementOf(p, 0)
			value[0] = 0xff
		}, "is no stored object"},
		{"an element outside", leafPage, func(p page) { p.data[pageHeaderSize+elementSize+14] = 0xff }, "points outside of the page"},
		{"an element in another", leafPage, func(p page) {
			binary.LittleEndian.PutUint32(p.data[pageHeaderSize+12:], 200)
		}, "element 0 reaches into another one"},
		{"a gap", leafPage, func(p page) { p.data[pageHeaderSize+12]-- }, "element 0 does not end where the next one begins"},
		{"a bucket", leafPage, func(p page) { p.data[pageHeaderSize] = bucketElement }, "is a bucket"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := tinyDatabase(t)
			c.damage(pageOf(t, data, c.flags))
			d, err := Open(t.Context(), data)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Read(t.Context(), func(Revision) {}); err != nil {
				t.Fatal(err)
			}
			told := strings.Join(d.Faults.First, "\n")
			if !strings.Contains(told, c.want) || (d.Faults.Count > 0) != (c.want != "") {
				t.Errorf("faults %q, want %q", told, c.want)
			}
		})
	}
}
