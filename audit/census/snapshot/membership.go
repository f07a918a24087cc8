package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// Membership returns what the database of a snapshot or of a data dir tells about the members of its
// cluster. It reads nothing else of it.
func Membership(ctx context.Context, path string) (*audit.Membership, error) {
	s, err := openSource(ctx, path)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var found etcddb.Membership
	err = etcddb.Guard(func() error {
		data, _ := etcddb.SplitDigest(s.db.Data)
		d, err := etcddb.Open(ctx, data)
		if err == nil {
			found, err = d.ReadMembership(ctx)
		}
		return err
	})
	if err == nil && s.db.Changed() {
		err = errors.New("it was changed while it was read")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.db.Path, err)
	}
	return membershipOf(found), nil
}

func membershipOf(m etcddb.Membership) *audit.Membership {
	of := &audit.Membership{Removed: m.Removed, Raft: m.Raft, Reason: m.Fault}
	for _, member := range m.Members {
		of.Members = append(of.Members, audit.Member{ID: member.ID, Name: member.Name, PeerURLs: member.PeerURLs})
	}
	return of
}
