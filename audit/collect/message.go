package collect

import (
	"errors"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// The messages are read by field number, from etcd's api/etcdserverpb/rpc.proto.

// rangeCount reads the number of keys from a RangeResponse. It does not keep the key in it.
func rangeCount(message []byte) (int64, error) {
	var count int64
	err := etcdrpc.Fields(message, func(f etcdrpc.Field) error {
		if f.Number == 4 && f.Type == protowire.VarintType {
			count = int64(min(f.Varint, math.MaxInt64))
		}
		return nil
	})
	return count, err
}

// responseHeader reads who answered: etcd's ResponseHeader is field 1 of every response. It
// returns zeros for a message without one.
func responseHeader(message []byte) etcdrpc.Header {
	var header etcdrpc.Header
	err := etcdrpc.Fields(message, func(f etcdrpc.Field) error {
		if f.Number != 1 || f.Type != protowire.BytesType {
			return nil
		}
		var err error
		header, err = etcdrpc.ParseHeader(f.Bytes)
		return err
	})
	if err != nil {
		return etcdrpc.Header{}
	}
	return header
}

// readStatus reads a StatusResponse.
func readStatus(message []byte) (*audit.Status, error) {
	s := &audit.Status{}
	err := etcdrpc.Fields(message, func(f etcdrpc.Field) error {
		switch {
		case f.Type == protowire.BytesType && f.Number == 2:
			s.Version = cleanText(string(f.Bytes))
		case f.Type == protowire.BytesType && f.Number == 8:
			if alarm, is := alarmOf(string(f.Bytes)); is && !slices.Contains(s.Alarms, alarm) {
				s.Alarms = append(s.Alarms, alarm)
			}
		case f.Type == protowire.BytesType && f.Number == 11:
			s.StorageVersion = cleanText(string(f.Bytes))
		case f.Type == protowire.VarintType:
			setStatusNumber(s, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// alarmOf returns the alarm that an error of a StatusResponse reports, if any. Such an error is
// the text of an AlarmMember, such as "memberID:10276657743932975437 alarm:NOSPACE ". The other
// error is "etcdserver: no leader".
func alarmOf(text string) (audit.Alarm, bool) {
	for _, alarm := range []audit.Alarm{audit.NoSpace, audit.Corrupt} {
		if strings.Contains(text, "alarm:"+string(alarm)) {
			return alarm, true
		}
	}
	return audit.UnknownAlarm, strings.Contains(text, "alarm:")
}

func setStatusNumber(s *audit.Status, f etcdrpc.Field) {
	size := int64(min(f.Varint, math.MaxInt64))
	switch f.Number {
	case 3:
		s.DBSize = size
	case 4:
		s.Leader = f.Varint
	case 5:
		s.RaftIndex = f.Varint
	case 6:
		s.RaftTerm = f.Varint
	case 7:
		s.RaftAppliedIndex = f.Varint
	case 9:
		s.DBSizeInUse = size
	case 10:
		s.IsLearner = f.Varint != 0
	case 12:
		s.DBSizeQuota = size
	default: // of no use here
	}
}

// maxMembers is larger than any etcd cluster: etcd advises at most seven members.
const maxMembers = 100

// readMembers reads the members from a MemberListResponse.
func readMembers(message []byte) ([]audit.Member, error) {
	members := []audit.Member{}
	err := etcdrpc.Fields(message, func(f etcdrpc.Field) error {
		if f.Number != 2 || f.Type != protowire.BytesType {
			return nil
		}
		if len(members) == maxMembers {
			return errors.New("more than 100 members")
		}
		var m audit.Member
		err := etcdrpc.Fields(f.Bytes, func(part etcdrpc.Field) error {
			setMemberField(&m, part)
			return nil
		})
		members = append(members, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

func setMemberField(m *audit.Member, f etcdrpc.Field) {
	switch {
	case f.Type == protowire.VarintType && f.Number == 1:
		m.ID = f.Varint
	case f.Type == protowire.VarintType && f.Number == 5:
		m.IsLearner = f.Varint != 0
	case f.Type == protowire.BytesType && f.Number == 2:
		m.Name = cleanText(string(f.Bytes))
	case f.Type == protowire.BytesType && f.Number == 3:
		m.PeerURLs = append(m.PeerURLs, cleanText(string(f.Bytes)))
	case f.Type == protowire.BytesType && f.Number == 4:
		m.ClientURLs = append(m.ClientURLs, cleanText(string(f.Bytes)))
	}
}
