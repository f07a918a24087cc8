package etcddb

import (
	"bytes"
	"context"
	"encoding/binary"
)

// Unused calls visit with the bytes of the pages that the current state does not use, with the
// bytes after the content of the pages that it uses, and with their place in the file. Adjacent pages
// come in one call, because a value may cross their border. Unused skips zeros. It returns the number
// of free pages and of skipped zeros. Call it after Read, which finds the used pages.
func (d *Database) Unused(ctx context.Context, visit func(part []byte, at int) error) (free, zeros int64, err error) {
	zero := make([]byte, d.meta.pageSize)
	size := uint64(d.meta.pageSize) //nolint:gosec // a page size is not negative
	run := 0
	flush := func(end int) error {
		at := end - run
		run = 0
		return visit(d.data[at:end], at)
	}
	for id := range d.pages() {
		if err := ctx.Err(); err != nil {
			return free, zeros, err
		}
		start := int(id * size) //nolint:gosec // inside of data
		p := d.data[start:min(start+d.meta.pageSize, len(d.data))]
		used := d.reached.has(id)
		if !used {
			free++
		}
		if used || bytes.Equal(p, zero[:len(p)]) {
			if !used {
				zeros += int64(len(p))
			}
			if err := flush(start); err != nil {
				return free, zeros, err
			}
		} else {
			run += len(p)
		}
		if !used || !d.heads.has(id) {
			continue
		}
		slack, at := d.slack(id)
		if len(slack) <= len(zero) && bytes.Equal(slack, zero[:len(slack)]) {
			zeros += int64(len(slack))
		} else if err := visit(slack, at); err != nil {
			return free, zeros, err
		}
	}
	return free, zeros, flush(len(d.data))
}

// slack returns the bytes after the content of a page, and their place in the file.
func (d *Database) slack(id uint64) (slack []byte, at int) {
	start := int(id) * d.meta.pageSize //nolint:gosec // inside of data
	p, err := parsePage(d.data[start:], d.meta.pageSize)
	if err != nil {
		return nil, start // a fault was told when the page was claimed
	}
	end := p.contentEnd()
	return p.data[end:], start + end
}

// PageLength returns how long the page is that begins at a place of a file, with its overflow pages;
// 0 if no page of this size begins there. data begins at the place. A page that is not in use any
// more still has its header, unless another page is written over it.
func PageLength(data []byte, at, pageSize int) int {
	if len(data) < pageHeaderSize || binary.LittleEndian.Uint64(data) != uint64(at/pageSize) { //nolint:gosec // neither is negative
		return 0
	}
	switch binary.LittleEndian.Uint16(data[8:]) {
	case branchPage, leafPage, freelistPage:
		return (int(binary.LittleEndian.Uint32(data[12:])) + 1) * pageSize
	default:
		return 0
	}
}
