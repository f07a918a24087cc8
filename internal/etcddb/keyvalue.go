package etcddb

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// The key of an element of the bucket "key" is a revision (etcd server/storage/mvcc/revision.go):
// main 8, '_', sub 8, both big-endian, and 't' if the object was deleted.
const revisionSize = 17

// parseRevision reads the key of an element of the bucket "key".
func parseRevision(key []byte) (main int64, tombstone, ok bool) {
	switch {
	case len(key) == revisionSize+1 && key[revisionSize] == 't':
		tombstone = true
	case len(key) != revisionSize:
		return 0, false, false
	}
	if key[8] != '_' {
		return 0, false, false
	}
	main = int64(binary.BigEndian.Uint64(key)) //nolint:gosec // a negative one is refused
	return main, tombstone, main > 0
}

// keyValue holds what etcd stores at a revision: mvccpb.KeyValue, without the lease.
type keyValue struct {
	key, value  []byte
	modRevision int64
}

// The fields of mvccpb.KeyValue (etcd api/mvccpb/kv.proto).
const (
	keyField            protowire.Number = 1
	createRevisionField protowire.Number = 2
	modRevisionField    protowire.Number = 3
	versionField        protowire.Number = 4
	valueField          protowire.Number = 5
	leaseField          protowire.Number = 6
)

// parseKeyValue reads a KeyValue without copying it. It accepts only the fields of the message,
// with their types.
func parseKeyValue(data []byte) (kv keyValue, ok bool) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return keyValue{}, false
		}
		data = data[n:]
		switch {
		case kind == protowire.BytesType && (number == keyField || number == valueField):
			content, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return keyValue{}, false
			}
			data = data[n:]
			if number == keyField {
				kv.key = content
			} else {
				kv.value = content
			}
		case kind == protowire.VarintType && number >= createRevisionField && number <= leaseField:
			value, n := protowire.ConsumeVarint(data)
			if n < 0 {
				return keyValue{}, false
			}
			data = data[n:]
			if number == modRevisionField {
				kv.modRevision = int64(value) //nolint:gosec // it is compared with a revision above 0
			}
		default:
			return keyValue{}, false
		}
	}
	return kv, true
}
