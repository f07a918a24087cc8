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
	if method != audit.RangeRPC && method != audit.BadTokenRangeRPC {
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

// responseHeader reads who answered: etcd's ResponseHeader is field 1 of every response.
func responseHeader(message []byte) (clusterID, memberID uint64) {
	all, err := fields(message)
	if err != nil {
		return 0, 0
	}
	for _, f := range all {
		if f.number != 1 || f.kind != protowire.BytesType {
			continue
		}
		header, err := fields(f.bytes)
		if err != nil {
			return 0, 0
		}
		for _, part := range header {
			switch {
			case part.kind != protowire.VarintType:
			case part.number == 1:
				clusterID = part.varint
			case part.number == 2:
				memberID = part.varint
			}
		}
	}
	return clusterID, memberID
}

// maxErrors is what is kept of the errors of a StatusResponse; etcd has three kinds.
const maxErrors = 16

// status reads a StatusResponse.
func status(message []byte) (*audit.Status, error) {
	all, err := fields(message)
	if err != nil {
		return nil, err
	}
	s := &audit.Status{}
	for _, f := range all {
		switch {
		case f.kind == protowire.BytesType && f.number == 2:
			s.Version = cleanText(string(f.bytes))
		case f.kind == protowire.BytesType && f.number == 8 && len(s.Errors) < maxErrors:
			s.Errors = append(s.Errors, cleanText(string(f.bytes)))
		case f.kind == protowire.BytesType && f.number == 11:
			s.StorageVersion = cleanText(string(f.bytes))
		case f.kind == protowire.VarintType:
			statusNumber(s, f)
		}
	}
	return s, nil
}

func statusNumber(s *audit.Status, f field) {
	size := int64(min(f.varint, math.MaxInt64))
	switch f.number {
	case 3:
		s.DBSize = size
	case 4:
		s.Leader = f.varint
	case 5:
		s.RaftIndex = f.varint
	case 6:
		s.RaftTerm = f.varint
	case 7:
		s.RaftAppliedIndex = f.varint
	case 9:
		s.DBSizeInUse = size
	case 10:
		s.IsLearner = f.varint != 0
	case 12:
		s.DBSizeQuota = size
	default: // of no use here
	}
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
			memberField(&m, part)
		}
		members = append(members, m)
	}
	return members, nil
}

func memberField(m *audit.Member, f field) {
	switch {
	case f.kind == protowire.VarintType && f.number == 1:
		m.ID = f.varint
	case f.kind == protowire.VarintType && f.number == 5:
		m.IsLearner = f.varint != 0
	case f.kind == protowire.BytesType && f.number == 2:
		m.Name = cleanText(string(f.bytes))
	case f.kind == protowire.BytesType && f.number == 3:
		m.PeerURLs = append(m.PeerURLs, cleanText(string(f.bytes)))
	case f.kind == protowire.BytesType && f.number == 4:
		m.ClientURLs = append(m.ClientURLs, cleanText(string(f.bytes)))
	}
}
