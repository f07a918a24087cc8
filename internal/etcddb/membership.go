package etcddb

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Membership holds what a database tells about the members of its cluster. From 3.6 on, etcd takes the
// members from here. Before, it takes them from its v2 store, and the two may differ.
type Membership struct {
	Members []Member // of the bucket "members", in the order of their IDs
	Removed []uint64 // of the bucket "members_removed", likewise
	// Raft has the IDs of raft's voters and learners, which the database has since 3.5; nil if it has none.
	Raft []uint64
	// Fault says why some of it is unknown; empty if all of it was read.
	Fault string
}

// Member is a member as the bucket "members" has it (etcd server/etcdserver/api/membership/member.go).
type Member struct {
	ID       uint64   `json:"id"`
	Name     string   `json:"name"`
	PeerURLs []string `json:"peerURLs"`
}

// The limits of a membership. A cluster has few members, and may have removed many in its life.
const (
	maxMembers      = 1000
	maxRemoved      = 1 << 16
	maxMemberLength = 16 << 10 // bytes of JSON
)

// confState is raft's configuration as the bucket "meta" has it (etcd raft/raftpb ConfState). A change of
// it that has begun and not ended has four lists.
type confState struct {
	Voters         []uint64 `json:"voters"`
	Learners       []uint64 `json:"learners"`
	VotersOutgoing []uint64 `json:"voters_outgoing"`
	LearnersNext   []uint64 `json:"learners_next"`
}

// ReadMembership reads only the buckets with the membership. It must be the only read of the database. It
// fails only if ctx ends or the database is not from etcd.
func (d *Database) ReadMembership(ctx context.Context) (Membership, error) {
	if _, ok := d.bucket("key"); !ok && d.Faults.Count == 0 {
		return Membership{}, ErrForeign
	}
	var set settings
	for _, b := range d.buckets {
		switch b.name {
		case "members", "members_removed", "meta":
			if err := set.read(ctx, d, b); err != nil {
				return Membership{}, err
			}
		}
	}
	return set.endMembership(d), nil
}

// endMembership returns the membership after all its elements were taken.
func (s *settings) endMembership(d *Database) Membership {
	m := s.membership
	slices.SortFunc(m.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(m.Removed)
	if d.Faults.Count > 0 {
		m.Fault = "the file is damaged: " + d.Faults.First[0]
	}
	return m
}

// takeMember takes an element of a bucket with the membership.
func (m *Membership) takeMember(bucket, key string, value []byte) {
	fault := func(format string, args ...any) {
		if m.Fault == "" {
			m.Fault = fmt.Sprintf(format, args...)
		}
	}
	if bucket == "meta" {
		var state confState
		if len(value) > maxMemberLength || json.Unmarshal(value, &state) != nil {
			fault("the raft configuration in it is not JSON of etcd")
			return
		}
		m.Raft = slices.Concat(state.Voters, state.Learners, state.VotersOutgoing, state.LearnersNext)
		return
	}
	id, err := strconv.ParseUint(key, 16, 64)
	if err != nil {
		fault("a key of the bucket %q is no member ID: %.40q", bucket, key)
		return
	}
	if bucket == "members_removed" {
		if len(m.Removed) == maxRemoved {
			fault("the bucket %q has more than %d members", bucket, maxRemoved)
			return
		}
		m.Removed = append(m.Removed, id)
		return
	}
	member := Member{}
	if len(value) > maxMemberLength || json.Unmarshal(value, &member) != nil {
		fault("member %x in it is not JSON of etcd", id)
	}
	member.ID = id
	if len(m.Members) == maxMembers {
		fault("the bucket %q has more than %d members", bucket, maxMembers)
		return
	}
	m.Members = append(m.Members, member)
}
