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
func Clusters(listeners []*audit.Listener, snapshotDir string, maxAge time.Duration, now time.Time) []*audit.EtcdCluster {
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
	snapshots := Snapshots(snapshotDir, maxAge)
	if len(clusters) > 1 {
		snapshots = &audit.Snapshots{Dir: snapshotDir, Reason: "they are of one cluster, and several were audited; audit one at a time"}
	}
	for _, c := range clusters {
		c.Snapshots = snapshots
	}
	return clusters
}
