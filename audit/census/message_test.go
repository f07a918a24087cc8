package census

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// A request is what etcd's own parser makes of it: field numbers and values of RangeRequest.
func TestRangeRequest(t *testing.T) {
	got := rangeRequest{from: []byte("a"), end: []byte("b"), limit: 3, revision: 4, countOnly: true}.frame()
	want := "\x0a\x01a\x12\x01b\x18\x03\x20\x04\x38\x01\x48\x01"
	if got[0] != 0 || int(binary.BigEndian.Uint32(got[1:])) != len(want) || string(got[frameHead:]) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzDecoder(f *testing.F) {
	kv := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "key")
	kv = protowire.AppendString(protowire.AppendTag(kv, 5, protowire.BytesType), "value")
	message := protowire.AppendBytes(protowire.AppendTag([]byte("\x0a\x04\x08\x07\x18\x2a"), 2, protowire.BytesType), kv)
	message = append(message, "\x18\x01\x20\x09"...)
	framed := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	for _, seed := range [][]byte{framed, framed[:9], {}, {0, 0, 0, 0, 0}, {0, 0xff, 0xff, 0xff, 0xff, 0x12, 0xff, 0xff, 0xff, 0x7f}} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, answer []byte, piece int) {
		read := func(from *pieces) (keys []byte, p page, err error) {
			var d decoder
			p, err = d.decode(from, func(_ *page, key, value []byte) error {
				keys = append(append(append(keys, key...), 0), value...)
				return nil
			})
			if len(d.buffer) > 2*maxObject {
				t.Errorf("a buffer of %d bytes", len(d.buffer))
			}
			return keys, p, err
		}
		// In pieces of any size it is the same answer.
		keys, p, err := read(&pieces{answer, len(answer) + 1})
		again, q, err2 := read(&pieces{answer, max(1, piece%64)})
		if !bytes.Equal(keys, again) || p != q || (err == nil) != (err2 == nil) {
			t.Errorf("%q %+v %v, then %q %+v %v", keys, p, err, again, q, err2)
		}
		if err == nil && len(answer) < frameHead {
			t.Error("an answer without a frame was accepted")
		}
	})
}

// pieces gives no more than a few bytes at a time.
type pieces struct {
	left []byte
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), p.most)], p.left)
	p.left = p.left[n:]
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
