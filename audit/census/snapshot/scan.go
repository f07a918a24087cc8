package snapshot

import (
	"bytes"
	"context"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// A trace is a stored value in bytes of unknown structure. Its slices are parts of these bytes.
type trace struct {
	key    []byte // etcd's
	value  []byte // as far as it is there
	length int    // of the value, as etcd stored it
}

// bytesOf is a part of a file, of unknown structure.
type bytesOf struct {
	data     []byte
	at       int // the place of data in the file
	pageSize int // of a database; 0 of another file
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

// scan finds the values whose beginning is in the bytes, in order. A value has etcd's own message
// around it: mvccpb.KeyValue in a database, PutRequest in a WAL. What only begins like a value is a
// candidate: scan counts it, and finds nothing in it. Nothing inside of a value counts, because
// whoever may write an object to Kubernetes chooses what is in it. scan fails only if ctx ends.
func scan(ctx context.Context, b bytesOf, found func(trace)) (candidates int64, err error) {
	ends := 0 // of the last value
	pages := pageFinder{bytesOf: b}
	var places []int
	for from := 0; from < len(b.data); from += window {
		if err := ctx.Err(); err != nil {
			return candidates, err
		}
		places = heads(b.data, from, min(from+window, len(b.data)), places[:0])
		for _, at := range places {
			if at < ends {
				continue
			}
			t, framed := frame(b.data, at)
			switch {
			case framed:
				ends = min(at+t.length, pages.limit(at, at+t.length))
				t.value = b.data[at:ends]
				found(t)
			case !hasPrefix(b.data[at:], cborHead): // three bytes alone are a coincidence
				candidates++
			}
		}
	}
	return candidates, nil
}

// pageFinder finds where the page of a database ends that has a value. A later page may have been
// written over the end of the value.
type pageFinder struct {
	bytesOf

	next int // the first border of pages that was not looked at, in data
	ends int // of the last page with a header, in data
}

// limit returns where a value must end that begins at a place and says that it ends at another. The
// places of two calls must ascend.
func (f *pageFinder) limit(at, end int) int {
	if f.pageSize == 0 {
		return len(f.data)
	}
	if f.next == 0 {
		f.next = (f.pageSize - f.at%f.pageSize) % f.pageSize
	}
	for ; f.next <= at; f.next += f.pageSize {
		if length := f.pageAt(f.next); length > 0 {
			f.ends = f.next + length
		}
	}
	border := f.next // behind the page with the value's beginning
	if at >= f.ends {
		return min(border, len(f.data)) // whose header is gone
	}
	end = min(end, f.ends, len(f.data))
	for ; border < end; border += f.pageSize {
		if f.pageAt(border) > 0 {
			return border
		}
	}
	return end
}

func (f *pageFinder) pageAt(at int) int {
	return etcddb.PageLength(f.data[at:], f.at+at, f.pageSize)
}

// heads appends the places in data[from:to] where a value may begin.
func heads(data []byte, from, to int, places []int) []int {
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

// frame reads backwards from a value to the key before it, and returns the key and the length.
func frame(data []byte, at int) (t trace, framed bool) {
	length, tag, before := varintBefore(data, at)
	if before < 0 {
		return trace{}, false
	}
	switch tag {
	case putValueTag:
	case valueTag:
		for _, want := range []byte{versionTag, modRevisionTag, createRevisionTag} {
			if _, tag, before = varintBefore(data, before); before < 0 || tag != want {
				return trace{}, false
			}
		}
	default:
		return trace{}, false
	}
	key := keyBefore(data, before)
	const most = 1 << 30 // etcd's limit is 1.5 MiB unless --max-request-bytes says otherwise
	if key == nil || length == 0 || length > most {
		return trace{}, false
	}
	return trace{key: key, length: int(length)}, true
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
