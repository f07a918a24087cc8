package snapshot

import (
	"context"
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
// the writers.
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
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if f.Expiry > 0 && f.Now().Sub(info.ModTime()) > f.Expiry {
			continue
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
