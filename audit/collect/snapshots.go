package collect

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// maxIncomplete bounds the files that are skipped because they are not snapshots.
const maxIncomplete = 100

// Snapshots lists the snapshots of a folder, and reads the head of each from the newest to the first
// complete one. It unpacks a packed one to its end, and keeps nothing of it.
func Snapshots(ctx context.Context, dir string, maxAge time.Duration) *audit.Snapshots {
	s := &audit.Snapshots{Dir: dir, MaxAge: maxAge}
	files, err := etcddb.SnapshotFiles(dir)
	if err != nil {
		s.Reason = cleanText(pathCause(err))
		return s
	}
	slices.SortStableFunc(files, func(a, b etcddb.SnapshotFile) int { return b.Info.ModTime().Compare(a.Info.ModTime()) })
	for _, file := range files[:min(len(files), maxIncomplete)] {
		name, err := filepath.Rel(dir, file.Path)
		if err != nil {
			name = filepath.Base(file.Path)
		}
		found := audit.Snapshot{Name: cleanText(name), Modified: file.Info.ModTime(), Unread: file.Unreadable}
		if !file.Unreadable {
			if found.Fault, err = etcddb.SnapshotFault(ctx, file.Path); err != nil {
				s.Reason = cleanText(name + ": " + pathCause(err))
				return s
			}
		}
		s.Files = append(s.Files, found)
		if found.Fault == "" && !found.Unread {
			break
		}
	}
	return s
}

// pathCause returns the cause without the path, which the report already names.
func pathCause(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}
