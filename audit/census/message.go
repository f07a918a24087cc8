package census

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages are read by field number, from etcd's api/etcdserverpb/rpc.proto and
// api/mvccpb/kv.proto, as they arrive: the generated package would hold a whole page in
// memory, and brings grpc-go and its start-up time into every etcdsec command.

// rangeRequest is what a Range is asked for. All are serializable: the member that is asked
// answers from its own store, and no other takes part.
type rangeRequest struct {
	from, end []byte
	limit     int64
	revision  int64 // 0 is the newest
	countOnly bool
}

// frame is the request as a gRPC frame: a flag for compression, the length, the message.
func (r rangeRequest) frame() []byte {
	b := make([]byte, frameHead, 64+len(r.from)+len(r.end))
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), r.from)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), r.end)
	number := func(field protowire.Number, n int64) {
		if n > 0 {
			b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
		}
	}
	number(3, r.limit)
	number(4, r.revision)
	number(7, 1)
	if r.countOnly {
		number(9, 1)
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-frameHead)) //nolint:gosec // two keys that the server sent, each far shorter
	return b
}

const (
	frameHead = 5
	// maxObject is far above what etcd takes: 1.5 MiB, unless --max-request-bytes is set.
	maxObject = 8 << 20
)

// page is what a RangeResponse says beside its keys.
type page struct {
	clusterID uint64
	revision  int64
	more      bool
	count     int64 // of all keys of the range
	bytes     int64
}

// errNoMessage is of an answer that ends before its message: a status alone.
var errNoMessage = errors.New("no message")

// decoder reads a RangeResponse from a stream. It holds one object at a time.
type decoder struct {
	from   io.Reader
	buffer []byte // what was read and is not used yet is at [start:end]
	start  int
	end    int
	left   int64 // of the message, and not in the buffer
}

// decode gives every key and value to add, as parts of the buffer, and the rest of the message.
func (d *decoder) decode(from io.Reader, add func(p *page, key, value []byte) error) (page, error) {
	d.from, d.start, d.end, d.left = from, 0, 0, 0
	var head [frameHead]byte
	switch _, err := io.ReadFull(from, head[:]); {
	case errors.Is(err, io.EOF):
		return page{}, errNoMessage
	case err != nil:
		return page{}, err
	case head[0] != 0:
		return page{}, errors.New("the answer is compressed, which nobody asked for")
	}
	d.left = int64(binary.BigEndian.Uint32(head[1:]))
	p := page{bytes: d.left}
	for d.end > d.start || d.left > 0 {
		if err := d.field(&p, add); err != nil {
			return p, err
		}
	}
	// Whatever comes after the message is no answer to the one request.
	if n, err := io.ReadFull(from, head[:1]); n > 0 {
		return p, errMessage
	} else if !errors.Is(err, io.EOF) {
		return p, err
	}
	return p, nil
}

var errMessage = errors.New("the answer is not a RangeResponse")

// maxField is a tag and a varint of the greatest length.
const maxField = 2 * binary.MaxVarintLen64

func (d *decoder) field(p *page, add func(p *page, key, value []byte) error) error {
	if err := d.fill(maxField); err != nil {
		return err
	}
	number, kind, n := protowire.ConsumeTag(d.buffer[d.start:d.end])
	if n < 0 {
		return errMessage
	}
	d.start += n
	switch kind {
	case protowire.VarintType:
		v, n := protowire.ConsumeVarint(d.buffer[d.start:d.end])
		if n < 0 {
			return errMessage
		}
		d.start += n
		switch number {
		case 3:
			p.more = v != 0
		case 4:
			p.count = int64(v) //nolint:gosec // int64 is its type in the message
		}
		return nil
	case protowire.BytesType:
	default: // it has none
		return errMessage
	}
	length, n := protowire.ConsumeVarint(d.buffer[d.start:d.end])
	if n < 0 {
		return errMessage
	}
	d.start += n
	if length > maxObject {
		return fmt.Errorf("the answer has an object of %d bytes; no more than %d MiB are read", length, maxObject>>20)
	}
	if err := d.fill(int(length)); err != nil {
		return err
	}
	if d.end-d.start < int(length) {
		return errMessage
	}
	body := d.buffer[d.start : d.start+int(length)]
	d.start += int(length)
	switch number {
	case 1:
		return responseHeader(p, body)
	case 2:
		key, value, err := keyValue(body)
		if err != nil {
			return err
		}
		return add(p, key, value)
	default:
		return nil
	}
}

// fill has at least n bytes of the message in the buffer, or all that there are.
func (d *decoder) fill(n int) error {
	if d.end-d.start >= n || d.left == 0 {
		return nil
	}
	if len(d.buffer)-d.start < n {
		to := d.buffer
		if len(to) < n {
			const least = 256 << 10
			to = make([]byte, max(least, n+n/4))
		}
		d.end = copy(to, d.buffer[d.start:d.end])
		d.buffer, d.start = to, 0
	}
	for d.end-d.start < n && d.left > 0 {
		room := d.buffer[d.end:]
		if int64(len(room)) > d.left {
			room = room[:d.left]
		}
		read, err := d.from.Read(room)
		d.end += read
		d.left -= int64(read)
		if err != nil && (d.end-d.start < n && d.left > 0 || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// responseHeader reads who answered, and at which revision.
func responseHeader(p *page, b []byte) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		if kind != protowire.VarintType {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return errMessage
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		switch number {
		case 1:
			p.clusterID = v
		case 3:
			p.revision = int64(v) //nolint:gosec // int64 is its type in the message
		}
	}
	return nil
}

// keyValue reads the two fields of a KeyValue that count here.
func keyValue(b []byte) (key, value []byte, err error) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, nil, errMessage
		}
		b = b[n:]
		if kind == protowire.BytesType {
			var field []byte
			if field, n = protowire.ConsumeBytes(b); n < 0 {
				return nil, nil, errMessage
			}
			switch number {
			case 1:
				key = field
			case 5:
				value = field
			}
		} else if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return nil, nil, errMessage
		}
		b = b[n:]
	}
	return key, value, nil
}
