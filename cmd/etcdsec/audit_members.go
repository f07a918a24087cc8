package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/members"
	"github.com/etcdsec/etcdsec/internal/input"
)

// maxAdvisories is far above the advisories of any program.
const maxAdvisories = 4 << 20

// memberFlags hold the flags for the checks that compare members.
type memberFlags struct {
	advisories     string
	snapshotDir    string
	snapshotMaxAge time.Duration
}

func (f *memberFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.advisories, "advisories", "", "JSON `file` of etcd's advisories and branches, instead of the built-in table")
	flags.StringVar(&f.snapshotDir, "snapshot-dir", "", "`dir` of the cluster's snapshots, whose age and members are judged: files NAME.db, of k3s and RKE2, and packed by gzip or zip")
	flags.DurationVar(&f.snapshotMaxAge, "snapshot-max-age", 24*time.Hour, "`time` after which the newest snapshot is too old")
}

// loadAdvisories returns the advisories of --advisories, or else the built-in ones.
func (f *memberFlags) loadAdvisories(files *input.Files) (members.Advisories, error) {
	if f.advisories == "" {
		return members.Known(), nil
	}
	data, err := files.Read(f.advisories, maxAdvisories)
	if err != nil {
		return members.Advisories{}, failure(fmt.Errorf("loading the advisories: %w", err), "")
	}
	table, err := members.ParseAdvisories(data)
	if err != nil {
		return members.Advisories{}, usageError(fmt.Errorf("--advisories %s: %w", f.advisories, err), "")
	}
	return table, nil
}

func (f *memberFlags) validate() error {
	if f.snapshotMaxAge <= 0 {
		return usageError(fmt.Errorf("--snapshot-max-age %s: want a time above 0, such as 24h", f.snapshotMaxAge), "")
	}
	return nil
}

// clusters groups the listeners by cluster, with the snapshots of --snapshot-dir.
func (f *memberFlags) clusters(ctx context.Context, listeners []*audit.Listener, now time.Time) []*audit.EtcdCluster {
	return collect.Clusters(ctx, listeners, f.snapshotDir, f.snapshotMaxAge, now)
}
