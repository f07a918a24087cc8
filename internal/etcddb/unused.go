package etcddb

import "bytes"

// Unused calls visit with the bytes of the pages that the current state does not use, and with the
// bytes after the content of the pages that it uses. Adjacent pages come in one call, because a value
// may cross their border. Unused skips zeros. It returns the number of free pages and of skipped
// zeros. Call it after Read, which finds the used pages.
func (d *Database) Unused(visit func([]byte) error) (free, zeros int64, err error) {
	zero := make([]byte, d.meta.pageSize)
	size := uint64(d.meta.pageSize) //nolint:gosec // a page size is not negative
	run := 0
	flush := func(end int) error {
		part := d.data[end-run : end]
		run = 0
		return visit(part)
	}
	for id := range d.pages() {
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
		slack := d.slack(id)
		if len(slack) <= len(zero) && bytes.Equal(slack, zero[:len(slack)]) {
			zeros += int64(len(slack))
		} else if err := visit(slack); err != nil {
			return free, zeros, err
		}
	}
	return free, zeros, flush(len(d.data))
}

// slack returns the bytes after the content of a page.
func (d *Database) slack(id uint64) []byte {
	p, err := parsePage(d.data[id*uint64(d.meta.pageSize):], d.meta.pageSize) //nolint:gosec // a page size is small
	if err != nil {
		return nil // a fault was told when the page was claimed
	}
	return p.data[p.contentEnd():]
}
