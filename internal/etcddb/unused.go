package etcddb

import "bytes"

// Unused calls visit with what is on the pages that the current state does not use, and behind
// the content of those that it uses. Neighbouring pages come together, since a value may lie
// across them. It leaves out zeros, and returns how many bytes of them there are, and how many
// pages are free. Call it after Read, which finds out what is in use.
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

// slack returns what is behind the content of a page.
func (d *Database) slack(id uint64) []byte {
	p, err := parsePage(d.data[id*uint64(d.meta.pageSize):], d.meta.pageSize) //nolint:gosec // a page size is small
	if err != nil {
		return nil // a fault was told when the page was claimed
	}
	return p.data[p.contentEnd():]
}
