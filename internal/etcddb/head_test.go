package etcddb

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"strings"
	"testing"
)

// aMeta is the meta page of a bbolt database of so many pages.
func aMeta(pageSize uint32, pages uint64) []byte {
	page := make([]byte, pageSize)
	meta := page[pageHeaderSize:]
	binary.LittleEndian.PutUint32(meta, boltMagic)
	binary.LittleEndian.PutUint32(meta[4:], boltVersion)
	binary.LittleEndian.PutUint32(meta[8:], pageSize)
	binary.LittleEndian.PutUint64(meta[40:], pages)
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:metaSize-8])
	binary.LittleEndian.PutUint64(meta[metaSize-8:], sum.Sum64())
	return page
}

func TestHeadFault(t *testing.T) {
	const page = 4096
	good := aMeta(page, 4)
	torn := append(make([]byte, page), good...)
	flipped := append([]byte(nil), good...)
	flipped[pageHeaderSize+20] ^= 1
	for name, c := range map[string]struct {
		head []byte
		size int64
		want string
	}{
		"whole":                {good, 4 * page, ""},
		"with etcd's checksum": {good, 4*page + 32, ""},
		"the first page torn":  {torn, 4 * page, ""},
		"pages of 16 KiB":      {append(make([]byte, 16<<10), aMeta(16<<10, 4)...), 64 << 10, ""},
		"cut off":              {good, 3 * page, "cut off"},
		"checksum":             {flipped, 4 * page, "not a bbolt"},
		"empty":                {nil, 0, "empty"},
		"short":                {good[:40], 40, "not a bbolt"},
		"text":                 {[]byte(strings.Repeat("backup failed\n", 100)), 1400, "not a bbolt"},
		"no page size":         {aMeta(4096, math.MaxUint64), 1 << 40, "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			got := headFault(c.head, c.size)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

func FuzzHeadFault(f *testing.F) {
	seeds := [][]byte{aMeta(512, 4), aMeta(4096, 2), append(make([]byte, 512), aMeta(512, 9)...), nil}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add(seed, int64(len(seed)))
	}
	f.Fuzz(func(t *testing.T, head []byte, size int64) {
		if headFault(head, max(size, 0)) == "" && len(head) < pageHeaderSize+metaSize {
			t.Error("a file without a meta page is whole")
		}
	})
}
