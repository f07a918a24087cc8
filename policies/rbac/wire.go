package rbac

import (
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages are made and read by field number, from etcd's api/etcdserverpb/rpc.proto and
// api/authpb/auth.proto: the generated package brings grpc-go, and with it a third of the
// start-up time of every etcdsec command.

// message is one that is being made.
type message []byte

// text adds a string or bytes; as in proto3, an empty one is left out.
func (m message) text(field protowire.Number, s string) message {
	if s == "" {
		return m
	}
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), s)
}

func (m message) number(field protowire.Number, n int64) message {
	if n == 0 {
		return m
	}
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), uint64(n)) //nolint:gosec // how proto3 writes an int64
}

// inner adds a message, even an empty one.
func (m message) inner(field protowire.Number, other message) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), other)
}

const frameHead = 5

// frame is the message as a gRPC frame: a flag for compression, the length, the message.
func (m message) frame() []byte {
	head := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))) //nolint:gosec // names and keys, each bounded where it is read
	return append(head, m...)
}

var errMessage = errors.New("the answer is not a message of etcd's")

// fields gives every field of a message that was received: a number, or bytes. A kind of field
// that etcd's messages do not have is an error.
func fields(b []byte, each func(field protowire.Number, number uint64, bytes []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			return errMessage
		}
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		if err := each(field, number, bytes); err != nil {
			return err
		}
	}
	return nil
}

// texts are the strings of one field.
func texts(b []byte, wanted protowire.Number) ([]string, error) {
	all := []string{}
	err := fields(b, func(field protowire.Number, _ uint64, bytes []byte) error {
		if field == wanted {
			all = append(all, string(bytes))
		}
		return nil
	})
	return all, err
}

// permissions are those of a RoleGet.
func permissions(b []byte) ([]Permission, error) {
	all := []Permission{}
	err := fields(b, func(field protowire.Number, _ uint64, bytes []byte) error {
		const perm = 2
		if field != perm {
			return nil
		}
		p := Permission{Access: Read}
		err := fields(bytes, func(field protowire.Number, number uint64, bytes []byte) error {
			switch field {
			case 1:
				if number >= uint64(len(accesses())) {
					return errMessage
				}
				p.Access = accesses()[number]
			case 2:
				p.Key = string(bytes)
			case 3:
				p.End = string(bytes)
			}
			return nil
		})
		all = append(all, p)
		return err
	})
	return all, err
}

// accesses are in the order of authpb.Permission.Type.
func accesses() []Access { return []Access{Read, Write, ReadWrite} }

// permission is the message of one.
func permission(p Permission) message {
	var m message
	for i, access := range accesses() {
		if access == p.Access {
			m = m.number(1, int64(i))
		}
	}
	return m.text(2, p.Key).text(3, p.End)
}
