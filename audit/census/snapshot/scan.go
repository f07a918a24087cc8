package snapshot

import (
	"bytes"
	"context"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// A trace is the beginning of a stored value in bytes of unknown structure. Its slices are parts
// of these bytes.
type trace struct {
	key    []byte // etcd's; nil if it is not in front of the value
	value  []byte // as far as it is there; with no key, up to the end of what was scanned
	length int    // of the value, as etcd stored it; 0 with no key
}

// The beginnings of what kube-apiserver stores.
const (
	encryptedHead = "k8s:enc:"
	protobufHead  = "k8s\x00\n" // with the tag of runtime.Unknown's first field
	cborHead      = "\xd9\xd9\xf7"
)

// needles returns what scan searches for: a part of each beginning. JSON begins with the kind or
// with the version, in that order, or with the version alone where Go sorted the names.
func needles() []string { return []string{"k8s", `"apiVersion":"`, cborHead} }

// window bounds how much is searched for all needles before the next begins, so that the second
// search finds it in the processor's cache.
const window = 128 << 10

// scan finds the values whose beginning is in data, in order. A value is framed if etcd's own
// message is around it: mvccpb.KeyValue in a database, PutRequest in a WAL. Inside a framed value
// only another framed one counts, because a value may hold, for example, the annotation
// kubectl.kubernetes.io/last-applied-configuration. scan fails only if ctx ends.
func scan(ctx context.Context, data []byte, found func(trace)) error {
	ends := 0 // of the framed values so far
	var places []int
	for from := 0; from < len(data); from += window {
		if err := ctx.Err(); err != nil {
			return err
		}
		places = candidates(data, from, min(from+window, len(data)), places[:0])
		for _, at := range places {
			t, framed := frame(data, at)
			switch {
			case framed:
				ends = max(ends, at+len(t.value))
			case at < ends || bytes.HasPrefix(t.value, []byte(cborHead)): // three bytes alone are a coincidence
				continue
			}
			found(t)
		}
	}
	return nil
}

// candidates appends the places in data[from:to] where a value may begin.
func candidates(data []byte, from, to int, places []int) []int {
	for _, needle := range needles() {
		// A needle may begin inside of the window and end after it.
		part := data[from:min(to+len(needle)-1, len(data))]
		for at := 0; ; at += len(needle) {
			i := bytes.Index(part[at:], []byte(needle))
			if i < 0 {
				break
			}
			at += i
			if head, ok := headAt(data, from+at); ok {
				places = append(places, head)
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// headAt returns where the value begins whose needle is at a place.
func headAt(data []byte, at int) (head int, ok bool) {
	rest := data[at:]
	switch rest[0] {
	case 'k':
		return at, hasPrefix(rest, encryptedHead) || hasPrefix(rest, protobufHead)
	case cborHead[0]:
		return at, true
	}
	// {"apiVersion":" or {"kind":"…","apiVersion":"
	if at > 0 && data[at-1] == '{' {
		return at - 1, true
	}
	const longest = 100 // of a kind and what is around it
	start := max(0, at-longest)
	i := bytes.LastIndexByte(data[start:at], '{')
	if i < 0 || !hasPrefix(data[start+i:at], `{"kind":"`) {
		return 0, false
	}
	return start + i, true
}

func hasPrefix(data []byte, prefix string) bool {
	return len(data) >= len(prefix) && string(data[:len(prefix)]) == prefix
}

// The tags of the fields before a value, as etcd's protobuf code writes them.
const (
	keyTag            = byte(1<<3 | protowire.BytesType) // of both messages
	putValueTag       = byte(2<<3 | protowire.BytesType)
	createRevisionTag = byte(2<<3 | protowire.VarintType)
	modRevisionTag    = byte(3<<3 | protowire.VarintType)
	versionTag        = byte(4<<3 | protowire.VarintType)
	valueTag          = byte(5<<3 | protowire.BytesType)
)

// longestKey bounds the key of a Kubernetes object: a resource, a group, a namespace and a
// name of 253 bytes each, and a prefix.
const longestKey = 2 << 10

// frame reads backwards from a value to the key before it. If there is none, it returns the part
// of the value that is there.
func frame(data []byte, at int) (t trace, framed bool) {
	open := trace{value: data[at:]}
	length, tag, before := varintBefore(data, at)
	if before < 0 {
		return open, false
	}
	switch tag {
	case putValueTag:
	case valueTag:
		for _, want := range []byte{versionTag, modRevisionTag, createRevisionTag} {
			if _, tag, before = varintBefore(data, before); before < 0 || tag != want {
				return open, false
			}
		}
	default:
		return open, false
	}
	key := keyBefore(data, before)
	const most = 1 << 30 // etcd's limit is 1.5 MiB unless --max-request-bytes says otherwise
	if key == nil || length == 0 || length > most {
		return open, false
	}
	end := min(len(data), at+int(length))
	return trace{key: key, value: data[at:end], length: int(length)}, true
}

// varintBefore reads the varint that ends at a place, and the tag in front of it, which is at
// before; that is -1 if there is none. All tags here are below 0x80, as is the last byte of a
// varint and no other byte of it, so there is one way to read it.
func varintBefore(data []byte, end int) (value uint64, tag byte, before int) {
	start := end - 1
	for start > 0 && end-start < protowire.SizeVarint(1<<63) && data[start-1] >= 0x80 {
		start--
	}
	if start < 1 || data[end-1] >= 0x80 {
		return 0, 0, -1
	}
	value, n := protowire.ConsumeVarint(data[start:end])
	if n != end-start {
		return 0, 0, -1
	}
	return value, data[start-1], start - 1
}

// keyBefore reads the key field that ends at a place. Kubernetes' keys begin with a slash and
// have no line feed, which is the tag of the field.
func keyBefore(data []byte, end int) []byte {
	start := max(0, end-longestKey)
	search := end
	// The length may look like a tag: that of a key of ten bytes does.
	for range 2 {
		i := bytes.LastIndexByte(data[start:search], keyTag)
		if i < 0 {
			return nil
		}
		search = start + i
		key, n := protowire.ConsumeBytes(data[search+1 : end])
		if n == end-search-1 && len(key) > 1 && key[0] == '/' {
			return key
		}
	}
	return nil
}
