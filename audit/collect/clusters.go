package collect

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census/snapshot"
)

// Clusters groups listeners by cluster and returns one target for each cluster. It adds the
// snapshots of a folder (see [Snapshots]); an empty folder name means no snapshots.
//
// A member that answers no call does not tell its cluster. If there is only one cluster, such a
// member still forms a cluster, and the snapshots belong to it. If there are several clusters,
// nothing tells to which one the snapshots belong.
func Clusters(ctx context.Context, listeners []*audit.Listener, snapshotDir string, maxAge time.Duration, now time.Time) []*audit.EtcdCluster {
	clusters := audit.Clusters(listeners)
	all := &audit.EtcdCluster{Address: audit.Unnamed, Now: now, Listeners: listeners}
	if len(clusters) == 0 && (len(all.Of(audit.Client)) == 1 || snapshotDir != "") {
		if slices.ContainsFunc(listeners, (*audit.Listener).Interrupted) {
			all.Listeners, all.Interrupted = nil, true
		}
		clusters = []*audit.EtcdCluster{all}
	}
	if snapshotDir == "" {
		return clusters
	}
	snapshots := Snapshots(ctx, snapshotDir, maxAge)
	if len(clusters) > 1 {
		snapshots = &audit.Snapshots{Dir: snapshotDir, Reason: "they belong to one cluster, but several were audited; audit one cluster at a time"}
	}
	snapshots.Membership = membershipIn(ctx, snapshots)
	for _, c := range clusters {
		c.Snapshots = snapshots
	}
	return clusters
}

// membershipIn returns what the newest complete snapshot tells about the members, or why it tells nothing;
// nil if there is none.
func membershipIn(ctx context.Context, s *audit.Snapshots) *audit.Membership {
	name := s.Complete()
	if name == "" {
		return nil
	}
	m, err := snapshot.Membership(ctx, filepath.Join(s.Dir, name))
	if err != nil {
		return &audit.Membership{Reason: cleanText(err.Error())}
	}
	return m
}
