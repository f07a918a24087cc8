package census

import "sync/atomic"

// hashTable is a set of 64-bit hashes of a fixed size, for any number of goroutines.
type hashTable struct {
	slots []atomic.Uint64 // 0 is empty
	room  atomic.Int64
}

// newHashTable makes a table. The number of slots must be a power of two.
func newHashTable(slots int) *hashTable {
	t := &hashTable{slots: make([]atomic.Uint64, slots)}
	t.room.Store(int64(slots) / 10 * 9) // beyond that, searching takes long
	return t
}

// add reports whether a hash was already in the table, and adds it if not, unless the table is
// full.
func (t *hashTable) add(hash uint64) (found, full bool) {
	if hash == 0 {
		hash = 1
	}
	mask := uint64(len(t.slots) - 1) //nolint:gosec // a table has slots
	for at := hash & mask; ; at = (at + 1) & mask {
		switch old := t.slots[at].Load(); {
		case old == hash:
			return true, false
		case old != 0:
			continue
		}
		if t.room.Add(-1) < 0 {
			t.room.Add(1)
			return false, true
		}
		if t.slots[at].CompareAndSwap(0, hash) {
			return false, false
		}
		t.room.Add(1)
		if t.slots[at].Load() == hash {
			return true, false
		}
	}
}
