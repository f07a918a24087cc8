package collect

import (
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// Clusters puts listeners side by side, one target for each cluster, with the snapshots of a folder
// (see Snapshots); an empty folder is none.
//
// A member that answers no call does not tell its cluster. Where there is only the one, it is a
// cluster all the same, and so is what the snapshots are of. Where there are several clusters,
// nothing tells whose the snapshots are.
func Clusters(listeners []*audit.Target, snapshotDir string, maxAge time.Duration, now time.Time) []*audit.Target {
	clusters := audit.Clusters(listeners)
	all := &audit.Target{Address: "cluster", Kind: audit.Cluster, Now: now, Cluster: listeners}
	if len(clusters) == 0 && (len(all.Of(audit.Client)) == 1 || snapshotDir != "") {
		if slices.ContainsFunc(listeners, (*audit.Target).Interrupted) {
			all.Cluster, all.Reach = nil, audit.Attempt{State: audit.Unclear, Cause: audit.WasInterrupt, Reason: audit.Interrupted}
		}
		clusters = []*audit.Target{all}
	}
	if snapshotDir == "" {
		return clusters
	}
	snapshots := Snapshots(snapshotDir, maxAge)
	if len(clusters) > 1 {
		snapshots = &audit.Snapshots{Dir: snapshotDir, Reason: "they are of one cluster, and several were audited; audit one at a time"}
	}
	for _, c := range clusters {
		c.Snapshots = snapshots
	}
	return clusters
}
