package collect

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit"
)

// The three messages are read by field number, from etcd's api/etcdserverpb/rpc.proto. The
// generated package would bring grpc-go, and its start-up time, into every etcdsec command.

// request is the message of a call. Status and MemberList have empty ones: linearizable is
// false by default.
func request(method string) []byte {
	if method != audit.RangeRPC {
		return nil
	}
	var b []byte
	b = protowire.AppendTag(b, 1, protowire.BytesType) // key: from the first ...
	b = protowire.AppendBytes(b, []byte{0})
	b = protowire.AppendTag(b, 2, protowire.BytesType) // range_end: ... to the last
	b = protowire.AppendBytes(b, []byte{0})
	b = protowire.AppendTag(b, 3, protowire.VarintType) // limit
	b = protowire.AppendVarint(b, 1)
	b = protowire.AppendTag(b, 7, protowire.VarintType) // serializable: from this member's own store
	b = protowire.AppendVarint(b, 1)
	b = protowire.AppendTag(b, 8, protowire.VarintType) // keys_only
	return protowire.AppendVarint(b, 1)
}

var errMessage = errors.New("malformed message")

// field is one field of a message. Only the value of its own type is set.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64
	bytes  []byte
}

// fields splits a message. The bytes are slices of it.
func fields(message []byte) ([]field, error) {
	var all []field
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, errMessage
		}
		message = message[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return nil, errMessage
		}
		message = message[n:]
		all = append(all, f)
	}
	return all, nil
}

// rangeCount reads how many keys there are from a RangeResponse. The key that it carries is not kept.
func rangeCount(message []byte) (int64, error) {
	all, err := fields(message)
	if err != nil {
		return 0, err
	}
	var count int64
	for _, f := range all {
		if f.number == 4 && f.kind == protowire.VarintType {
			count = int64(min(f.varint, math.MaxInt64))
		}
	}
	return count, nil
}

// statusVersion reads the server's version from a StatusResponse.
func statusVersion(message []byte) (string, error) {
	all, err := fields(message)
	if err != nil {
		return "", err
	}
	var version string
	for _, f := range all {
		if f.number == 2 && f.kind == protowire.BytesType {
			version = cleanText(string(f.bytes))
		}
	}
	return version, nil
}

// maxMembers is above any etcd cluster: seven is the advised limit.
const maxMembers = 100

// memberList reads the members from a MemberListResponse.
func memberList(message []byte) ([]audit.Member, error) {
	all, err := fields(message)
	if err != nil {
		return nil, err
	}
	members := []audit.Member{}
	for _, f := range all {
		if f.number != 2 || f.kind != protowire.BytesType {
			continue
		}
		if len(members) == maxMembers {
			return nil, errors.New("more than 100 members")
		}
		parts, err := fields(f.bytes)
		if err != nil {
			return nil, err
		}
		var m audit.Member
		for _, part := range parts {
			if part.kind != protowire.BytesType {
				continue
			}
			text := cleanText(string(part.bytes))
			switch part.number {
			case 2:
				m.Name = text
			case 3:
				m.PeerURLs = append(m.PeerURLs, text)
			case 4:
				m.ClientURLs = append(m.ClientURLs, text)
			default: // of no use here
			}
		}
		members = append(members, m)
	}
	return members, nil
}
