package etcddb

import "hash/maphash"

// keySet is a set of etcd keys. It stores 8 bytes of hash for each, in a table that is at
// most half full: 16 to 32 bytes a key, however long the keys are.
//
// Two keys may have the same hash; with 10 million keys the odds that any two have are below
// 3 in a million. The current revision of the second would then be counted with the older
// ones, by its writer and with its name as they are: it would be in the wrong half of the
// report, and missing from none. The hash is seeded for each run, so nobody can choose keys that collide.
type keySet struct {
	seed  maphash.Seed
	table []uint64 // 0 is an empty place
	count int
}

func newKeySet() *keySet {
	return &keySet{seed: maphash.MakeSeed(), table: make([]uint64, 1<<10)}
}

// hash returns the hash of a key, which is never 0.
func (s *keySet) hash(key []byte) uint64 { return max(maphash.Bytes(s.seed, key), 1) }

// add adds a hash and reports whether it was not in the set yet.
func (s *keySet) add(hash uint64) bool {
	at := s.slotOf(hash)
	if s.table[at] == hash {
		return false
	}
	s.table[at] = hash
	s.count++
	if s.count > len(s.table)/2 {
		s.grow()
	}
	return true
}

// slot returns the content of the slot at which the search for a hash begins.
func (s *keySet) slot(hash uint64) uint64 {
	return s.table[hash&uint64(len(s.table)-1)] //nolint:gosec // a length is not negative
}

// slotOf returns the index of the slot that has a hash, or of the empty slot for it.
func (s *keySet) slotOf(hash uint64) uint64 {
	mask := uint64(len(s.table) - 1) //nolint:gosec // a length is not negative
	at := hash & mask
	for s.table[at] != 0 && s.table[at] != hash {
		at = (at + 1) & mask
	}
	return at
}

func (s *keySet) grow() {
	old := s.table
	s.table = make([]uint64, 2*len(old))
	for _, hash := range old {
		if hash != 0 {
			s.table[s.slotOf(hash)] = hash
		}
	}
}
