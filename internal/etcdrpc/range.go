package etcdrpc

import (
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// RangeRequest asks for keys with Range or RangeStream. It is serializable: the member answers from
// its own store, without the other members.
type RangeRequest struct {
	From, End []byte // the keys from From to before End; an End of one zero byte means after the last key
	Limit     int64  // 0 means no limit
	Revision  int64  // 0 means the newest
	KeysOnly  bool
	CountOnly bool
}

// Message returns the request, encoded for etcd.
func (r RangeRequest) Message() []byte {
	b := make([]byte, 0, 64+len(r.From)+len(r.End))
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), r.From)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), r.End)
	number := func(field protowire.Number, n int64) {
		if n > 0 {
			b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
		}
	}
	flag := func(field protowire.Number, set bool) {
		if set {
			number(field, 1)
		}
	}
	number(3, r.Limit)
	number(4, r.Revision)
	flag(7, true) // serializable
	flag(8, r.KeysOnly)
	flag(9, r.CountOnly)
	return b
}

// Page is a RangeResponse without its keys.
type Page struct {
	Header Header // zero until it is read
	More   bool   // there are more keys than the limit
	Count  int64  // of all keys of the range
	Bytes  int64  // of the messages
}

// maxObject limits one key with its value. It is far above the limit of etcd: 1.5 MiB, unless
// --max-request-bytes is set.
const maxObject = 8 << 20

// AddFunc gets a key and its value, and the part of the page that was read before them. Key and value
// are parts of a buffer and valid until it returns.
type AddFunc func(p *Page, key, value []byte) error

// RangeDecoder reads RangeResponses from a stream. It holds one object at a time, in a buffer that it
// reuses.
type RangeDecoder struct {
	from      io.Reader
	buffer    []byte // what was read and is not used yet is at [start:end]
	start     int
	end       int
	remaining int64 // of the message, and not in the buffer
}

// Decode reads the answer to a Range. It calls add with every key and returns the rest of the message.
func (d *RangeDecoder) Decode(from io.Reader, add AddFunc) (Page, error) {
	var p Page
	switch err := d.begin(from); {
	case errors.Is(err, io.EOF):
		return p, ErrNoMessage
	case err != nil:
		return p, err
	}
	p.Bytes = d.remaining
	if err := d.decodeResponse(&p, add); err != nil {
		return p, err
	}
	return p, readEnd(from)
}

// DecodeStream reads the answer to a RangeStream. Each chunk has keys. Only the last one also has the
// header, the count, and whether there are more keys (etcd 3.7 server/etcdserver/v3_server.go,
// rangeStream). DecodeStream calls add with every key, and chunk after each chunk with only keys.
func (d *RangeDecoder) DecodeStream(from io.Reader, add AddFunc, chunk func(p *Page) error) (Page, error) {
	var p Page
	for {
		keys := 0
		switch err := d.begin(from); {
		case errors.Is(err, io.EOF) && p.Bytes == 0:
			return p, ErrNoMessage
		case errors.Is(err, io.EOF):
			return p, nil // an error status may follow; the caller looks whether the page is finished where none does
		case err != nil:
			return p, err
		case p.Finished():
			return p, ErrMalformed // a chunk after the last
		}
		p.Bytes += d.remaining
		if err := d.enter(); err != nil {
			return p, err
		}
		err := d.decodeResponse(&p, func(p *Page, key, value []byte) error {
			keys++
			return add(p, key, value)
		})
		if err != nil {
			return p, err
		}
		switch {
		case p.Finished():
		case keys == 0 || p.More || p.Count != 0:
			return p, ErrMalformed // it would never have to end
		default:
			if err := chunk(&p); err != nil {
				return p, err
			}
		}
	}
}

// Finished reports whether the header was read. The last chunk of a stream has it.
func (p *Page) Finished() bool { return p.Header != Header{} }

// begin reads the head of the next frame.
func (d *RangeDecoder) begin(from io.Reader) error {
	d.from, d.start, d.end, d.remaining = from, 0, 0, 0
	var err error
	d.remaining, err = readHead(from)
	return err
}

// enter enters the only field of a RangeStreamResponse, the RangeResponse.
func (d *RangeDecoder) enter() error {
	if err := d.fill(maxField); err != nil {
		return err
	}
	number, kind, n := protowire.ConsumeTag(d.buffer[d.start:d.end])
	if n < 0 || number != 1 || kind != protowire.BytesType {
		return ErrMalformed
	}
	d.start += n
	length, n := protowire.ConsumeVarint(d.buffer[d.start:d.end])
	if n < 0 {
		return ErrMalformed
	}
	d.start += n
	if rest := int64(d.end-d.start) + d.remaining; rest < 0 || length != uint64(rest) {
		return ErrMalformed
	}
	return nil
}

// decodeResponse reads the rest of the message, which is a RangeResponse.
func (d *RangeDecoder) decodeResponse(p *Page, add AddFunc) error {
	for d.end > d.start || d.remaining > 0 {
		if err := d.decodeField(p, add); err != nil {
			return err
		}
	}
	return nil
}

// maxField is the length of a tag and the longest varint.
const maxField = 2 * 10

func (d *RangeDecoder) decodeField(p *Page, add AddFunc) error {
	if err := d.fill(maxField); err != nil {
		return err
	}
	number, kind, n := protowire.ConsumeTag(d.buffer[d.start:d.end])
	if n < 0 {
		return ErrMalformed
	}
	d.start += n
	if kind != protowire.VarintType && kind != protowire.BytesType {
		return ErrMalformed // the message has none
	}
	v, n := protowire.ConsumeVarint(d.buffer[d.start:d.end])
	if n < 0 {
		return ErrMalformed
	}
	d.start += n
	if kind == protowire.VarintType {
		switch number {
		case 3:
			p.More = v != 0
		case 4:
			p.Count = int64(v) //nolint:gosec // int64 is its type in the message
		}
		return nil
	}
	if v > maxObject {
		return &TooLongError{What: "object", Bytes: int64(min(v, 1<<62)), Most: maxObject} //nolint:gosec // it fits
	}
	length := int(v) //nolint:gosec // maxObject at most
	if err := d.fill(length); err != nil {
		return err
	}
	if d.end-d.start < length {
		return ErrMalformed
	}
	body := d.buffer[d.start : d.start+length]
	d.start += length
	switch number {
	case 1:
		header, err := ParseHeader(body)
		if err == nil && p.Finished() && header != p.Header {
			return ErrMalformed
		}
		p.Header = header
		return err
	case 2:
		key, value, err := parseKeyValue(body)
		if err != nil {
			return err
		}
		return add(p, key, value)
	default:
		return nil
	}
}

// fill reads until at least n bytes of the message, or all remaining ones, are in the buffer.
func (d *RangeDecoder) fill(n int) error {
	if d.end-d.start >= n || d.remaining == 0 {
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
	for d.end-d.start < n && d.remaining > 0 {
		room := d.buffer[d.end:]
		if int64(len(room)) > d.remaining {
			room = room[:d.remaining]
		}
		read, err := d.from.Read(room)
		d.end += read
		d.remaining -= int64(read)
		if err != nil && (d.end-d.start < n && d.remaining > 0 || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// parseKeyValue reads the two fields of a KeyValue that are needed here.
func parseKeyValue(b []byte) (key, value []byte, err error) {
	err = Fields(b, func(f Field) error {
		if f.Type == protowire.BytesType {
			switch f.Number {
			case 1:
				key = f.Bytes
			case 5:
				value = f.Bytes
			}
		}
		return nil
	})
	return key, value, err
}
