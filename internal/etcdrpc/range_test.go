package etcdrpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// A request is what etcd's own parser makes of it.
func TestRangeRequest(t *testing.T) {
	for _, c := range []struct {
		request RangeRequest
		want    *pb.RangeRequest
	}{
		{
			RangeRequest{From: []byte("a"), End: []byte("b"), Limit: 3, Revision: 4, CountOnly: true},
			&pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("b"), Limit: 3, Revision: 4, Serializable: true, CountOnly: true},
		},
		{
			RangeRequest{From: []byte{0}, End: []byte{0}, Limit: 1, KeysOnly: true},
			&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Limit: 1, Serializable: true, KeysOnly: true},
		},
	} {
		got := &pb.RangeRequest{}
		if err := proto.Unmarshal(c.request.Message(), got); err != nil || !proto.Equal(got, c.want) {
			t.Errorf("got %v, %v, want %v", got, err, c.want)
		}
	}
}

// framed puts messages of etcd's own into frames.
func framed(t testing.TB, messages ...proto.Message) []byte {
	t.Helper()
	var all []byte
	for _, m := range messages {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, encodeFrame(b)...)
	}
	return all
}

func keyValues(keys ...string) []*mvccpb.KeyValue {
	var kvs []*mvccpb.KeyValue
	for _, key := range keys {
		kvs = append(kvs, &mvccpb.KeyValue{Key: []byte(key), Value: []byte("value of " + key), ModRevision: 7, Version: 1})
	}
	return kvs
}

func chunk(r *pb.RangeResponse) proto.Message { return &pb.RangeStreamResponse{RangeResponse: r} }

// A stream of etcd's own messages is read as it is meant, and one that is not so is refused.
func TestDecodeStream(t *testing.T) {
	header := &pb.ResponseHeader{ClusterId: 7, MemberId: 8, Revision: 42}
	last := chunk(&pb.RangeResponse{Header: header, Kvs: keyValues("c"), Count: 3})
	wrongField := &pb.RangeResponse{More: true}
	for _, c := range []struct {
		name   string
		answer []byte
		keys   string
		err    error
	}{
		{"chunks", framed(t, chunk(&pb.RangeResponse{Kvs: keyValues("a", "b")}), last), "a,b,c,", nil},
		{"no key at all", framed(t, chunk(&pb.RangeResponse{Header: header})), "", nil},
		{"no chunk", nil, "", ErrNoMessage},
		{"a chunk without a key", framed(t, chunk(&pb.RangeResponse{}), last), "", ErrMalformed},
		{"an empty frame", encodeFrame(nil), "", ErrMalformed},
		{"a chunk behind the last", framed(t, last, chunk(&pb.RangeResponse{Kvs: keyValues("d")})), "c,", ErrMalformed},
		{"a count before the last", framed(t, chunk(&pb.RangeResponse{Kvs: keyValues("a"), Count: 3})), "a,", ErrMalformed},
		{"no RangeResponse in it", framed(t, wrongField), "", ErrMalformed},
		{"a RangeResponse shorter than its frame", encodeFrame([]byte("\x0a\x00\x0a\x00")), "", ErrMalformed},
		{"a RangeResponse longer than its frame", encodeFrame([]byte("\x0a\x7f\x0a\x00")), "", ErrMalformed},
		{"two headers", framed(t, chunk(&pb.RangeResponse{Header: header}), chunk(&pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: 7, Revision: 43}})), "", ErrMalformed},
		{"cut off in a frame", framed(t, last)[:9], "", io.ErrUnexpectedEOF},
		{"cut off in a head", framed(t, last)[:3], "", io.ErrUnexpectedEOF},
		{"compressed", []byte("\x01\x00\x00\x00\x00"), "", ErrCompressed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{1, 3, 1 << 20} {
				var d RangeDecoder
				keys, chunks := "", 0
				p, err := d.DecodeStream(&pieces{c.answer, piece}, func(_ *Page, key, value []byte) error {
					if string(value) != "value of "+string(key) {
						t.Errorf("%s has the value %q", key, value)
					}
					keys += string(key) + ","
					return nil
				}, func(*Page) error {
					chunks++
					return nil
				})
				if keys != c.keys || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Errorf("%q and %v, want %q and %v", keys, err, c.keys, c.err)
				}
				if err == nil && (p.Header != Header{ClusterID: 7, MemberID: 8, Revision: 42} || !p.Finished()) {
					t.Errorf("got %+v", p)
				}
				if c.name == "chunks" && (chunks != 1 || p.Count != 3) {
					t.Errorf("%d chunks before the last, %d keys", chunks, p.Count)
				}
			}
		})
	}
}

// A frame of any length is read, for a member may send one of gigabytes; an object is not.
func TestDecodeStreamHugeObject(t *testing.T) {
	var d RangeDecoder
	answer := "\x00\xff\xff\xff\xff" + "\x0a\xfa\xff\xff\xff\x0f" + "\x12\xff\xff\xff\x7f"
	_, err := d.DecodeStream(&pieces{append([]byte(answer), make([]byte, 4096)...), 100}, nil, nil)
	long, ok := errors.AsType[*TooLongError](err)
	if !ok && !errors.Is(err, ErrMalformed) {
		t.Fatalf("got %v", err)
	}
	if ok && long.Most != maxObject {
		t.Errorf("got %+v", long)
	}
	if len(d.buffer) > 2*maxObject {
		t.Errorf("a buffer of %d bytes", len(d.buffer))
	}
}

func FuzzDecoder(f *testing.F) {
	kv := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "key")
	kv = protowire.AppendString(protowire.AppendTag(kv, 5, protowire.BytesType), "value")
	message := protowire.AppendBytes(protowire.AppendTag([]byte("\x0a\x04\x08\x07\x18\x2a"), 2, protowire.BytesType), kv)
	message = append(message, "\x18\x01\x20\x09"...)
	whole := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	stream := framed(f, chunk(&pb.RangeResponse{Kvs: keyValues("a", "b")}), chunk(&pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: 7, Revision: 42}, Count: 2}))
	for _, seed := range [][]byte{whole, whole[:9], {}, {0, 0, 0, 0, 0}, {0, 0xff, 0xff, 0xff, 0xff, 0x12, 0xff, 0xff, 0xff, 0x7f}, stream, stream[:20]} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, answer []byte, piece int) {
		for _, streamed := range []bool{false, true} {
			read := func(from *pieces) (keys []byte, p Page, err error) {
				var d RangeDecoder
				add := func(_ *Page, key, value []byte) error {
					keys = append(append(append(keys, key...), 0), value...)
					return nil
				}
				if streamed {
					p, err = d.DecodeStream(from, add, func(*Page) error { return nil })
				} else {
					p, err = d.Decode(from, add)
				}
				if len(d.buffer) > 2*maxObject {
					t.Errorf("a buffer of %d bytes", len(d.buffer))
				}
				return keys, p, err
			}
			// In pieces of any size it is the same answer.
			keys, p, err := read(&pieces{answer, len(answer) + 1})
			again, q, err2 := read(&pieces{answer, max(1, piece%64)})
			if !bytes.Equal(keys, again) || p != q || (err == nil) != (err2 == nil) {
				t.Errorf("streamed: %t: %q %+v %v, then %q %+v %v", streamed, keys, p, err, again, q, err2)
			}
			if err == nil && len(answer) < frameHead {
				t.Error("an answer without a frame was accepted")
			}
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
