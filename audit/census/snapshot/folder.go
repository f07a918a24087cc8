package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// Folder is a folder of snapshots, as files *.db.
type Folder struct {
	Dir     string
	Expiry  time.Duration // after which a snapshot is not restored any more; 0 is never
	Options Options
	Now     func() time.Time
}

// Needing returns the paths of the snapshots that have not expired and hold an object by one of
// the writers. It fails if it cannot tell that of a snapshot: what was not read of a damaged one
// may need the key, and parts of it may be restored.
func (f Folder) Needing(ctx context.Context, writers []audit.Writer) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(f.Dir, "*.db"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.Dir); err != nil {
		return nil, err
	}
	options := f.Options
	options.Known, options.WithoutResidue, options.WithoutDigest = writers, true, true
	var needing []string
	var unread error
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if f.Expiry > 0 && f.Now().Sub(info.ModTime()) > f.Expiry {
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
			err = fmt.Errorf("reading %s: none of its %d keys is an object of an API server, of which --etcd-prefix says where they are", path, found.Outside)
		}
		if err != nil {
			unread = errors.Join(unread, fmt.Errorf("%w: it may need the key; mend the cause, or move the file elsewhere if it is never to be restored", err))
		}
	}
	if len(needing) > 0 {
		return needing, nil // which is reason enough to keep the key
	}
	return nil, unread
}
