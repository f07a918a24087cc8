package etcdrpc

import (
	"encoding/binary"
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Messages are written and read by field number, from etcd's api/etcdserverpb/rpc.proto and
// api/mvccpb/kv.proto: the generated package brings grpc-go, and holds a message as a whole.

// frameHead is the length of the head of a frame: a flag for compression, and the length of the
// message in four bytes.
const frameHead = 5

// encodeFrame returns a message in a gRPC frame.
func encodeFrame(message []byte) []byte {
	length := uint32(len(message)) //nolint:gosec // a request has two keys, each far shorter
	return append(binary.BigEndian.AppendUint32([]byte{0}, length), message...)
}

// readHead reads the head of the next frame and returns the length of its message. The error is
// io.EOF if there are no more frames.
func readHead(from io.Reader) (int64, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, err
	}
	if head[0] != 0 {
		return 0, ErrCompressed
	}
	return int64(binary.BigEndian.Uint32(head[1:])), nil
}

// readEnd checks that an answer ends after its last message.
func readEnd(from io.Reader) error {
	var extra [1]byte
	if n, err := io.ReadFull(from, extra[:]); n > 0 {
		return ErrMalformed
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// ReadMessage reads a unary answer to its end and returns its only message, of at most most bytes.
func ReadMessage(from io.Reader, most int64) ([]byte, error) {
	length, err := readHead(from)
	switch {
	case errors.Is(err, io.EOF):
		return nil, ErrNoMessage
	case err != nil:
		return nil, err
	case length > most:
		return nil, &TooLongError{What: "message", Bytes: length, Most: most}
	}
	// The buffer grows with what comes, not with what the server says will come.
	message, err := io.ReadAll(io.LimitReader(from, length))
	switch {
	case err != nil:
		return nil, err
	case int64(len(message)) < length:
		return nil, io.ErrUnexpectedEOF
	}
	return message, readEnd(from)
}

// Field is one field of a message. Only the value of its type is set.
type Field struct {
	Number protowire.Number
	Type   protowire.Type
	Varint uint64 // of protowire.VarintType
	Bytes  []byte // of protowire.BytesType; a part of the message
}

// Fields calls each for every field of a message, in order. The error is ErrMalformed or that of
// each. Fields allocates nothing.
func Fields(message []byte, each func(Field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return ErrMalformed
		}
		message = message[n:]
		f := Field{Number: number, Type: kind}
		switch kind {
		case protowire.VarintType:
			f.Varint, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.Bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return ErrMalformed
		}
		message = message[n:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// Header is etcd's ResponseHeader: which member answered, and at which revision.
type Header struct {
	ClusterID, MemberID uint64
	Revision            int64
}

// ParseHeader reads a ResponseHeader.
func ParseHeader(message []byte) (Header, error) {
	var h Header
	err := Fields(message, func(f Field) error {
		if f.Type != protowire.VarintType {
			return nil
		}
		switch f.Number {
		case 1:
			h.ClusterID = f.Varint
		case 2:
			h.MemberID = f.Varint
		case 3:
			h.Revision = int64(f.Varint) //nolint:gosec // int64 is its type in the message
		}
		return nil
	})
	return h, err
}
