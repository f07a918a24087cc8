package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// Folder is a folder of snapshots, as etcddb.SnapshotFiles lists them.
type Folder struct {
	Dir     string
	Expiry  time.Duration // after which a snapshot is not restored any more; 0 is never
	Options Options
	Now     func() time.Time
}

// Needing returns the paths of the snapshots that have not expired and hold an object by one of
// the writers.
func (f Folder) Needing(ctx context.Context, writers []audit.Writer) ([]string, error) {
	files, err := etcddb.SnapshotFiles(f.Dir)
	if err != nil {
		return nil, err
	}
	options := f.Options
	options.Known, options.WithoutResidue, options.WithoutDigest = writers, true, true
	var needing []string
	for _, file := range files {
		path := file.Path
		if f.Expiry > 0 && f.Now().Sub(file.Info.ModTime()) > f.Expiry {
			continue
		}
		if file.Unreadable {
			return nil, fmt.Errorf("%s is packed or encrypted in a way that is not read here, so that nobody knows which keys it needs: unpack it, or move it away if it is never restored", path)
		}
		found, err := Census(ctx, path, options)
		if err != nil {
			return nil, err
		}
		if found.HasAnyOf(writers) {
			needing = append(needing, path)
		}
	}
	return needing, nil
}
