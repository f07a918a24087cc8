package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// Folder is a folder of snapshots, as etcddb.SnapshotFiles lists them.
type Folder struct {
	Dir     string
	Expiry  time.Duration // after this time a snapshot is no longer restored; 0 means it never expires
	Options Options
	Now     func() time.Time
}

// Needing returns the paths of the snapshots that have not expired and hold an object by one of
// the writers. It fails if it cannot tell this for a snapshot: the unread parts of a damaged one
// may need the key, and may be restored.
func (f Folder) Needing(ctx context.Context, writers []audit.Writer) ([]string, error) {
	files, err := etcddb.SnapshotFiles(f.Dir)
	if err != nil {
		return nil, err
	}
	options := f.Options
	options.Known, options.WithoutResidue, options.WithoutDigest = writers, true, true
	var needing []string
	var unread error
	for _, file := range files {
		path := file.Path
		if f.Expiry > 0 && f.Now().Sub(file.Info.ModTime()) > f.Expiry {
			continue
		}
		if file.Unreadable {
			unread = errors.Join(unread, fmt.Errorf("%s is packed or encrypted in a way that cannot be read here: it may need the key; unpack it, or move the file away if nobody will restore it", path))
			continue
		}
		found, err := Census(ctx, path, options)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch {
		case err == nil && found.HasAnyOf(writers):
			needing = append(needing, path)
		case err == nil && !found.Complete:
			err = fmt.Errorf("reading %s: %s", path, found.Reason)
		case err == nil && found.Objects == 0 && found.Outside > 0:
			err = fmt.Errorf("reading %s: none of its %d keys is an object of an API server; set --etcd-prefix to the API server's prefix", path, found.Outside)
		}
		if err != nil {
			unread = errors.Join(unread, fmt.Errorf("%w: it may need the key; fix the cause, or move the file away if nobody will restore it", err))
		}
	}
	if len(needing) > 0 {
		return needing, nil // which is reason enough to keep the key
	}
	return nil, unread
}
