package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
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
func Snapshots(dir string, maxAge time.Duration) *audit.Snapshots {
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
			if found.Fault, err = snapshotFault(file.Path); err != nil {
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

// snapshotFault returns why a file is not a snapshot, empty if it is one. The error means that
// the file could not be read.
func snapshotFault(path string) (string, error) {
	head, size, err := etcddb.ReadSnapshotHead(path, 2*maxPageSize)
	switch {
	case errors.Is(err, etcddb.ErrDamaged):
		return err.Error(), nil
	case err != nil:
		return "", err
	}
	return bboltFault(head, size), nil
}

// pathCause returns the cause without the path, which the report already names.
func pathCause(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

// A bbolt database begins with two meta pages, of which at least one is whole at any time
// (go.etcd.io/bbolt internal/common/meta.go and page.go). Numbers are in the byte order of
// the machine that wrote it, which is little-endian wherever etcd runs.
const (
	pageHeaderSize = 16
	metaSize       = 64 // with its checksum, the last 8 bytes
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	maxPageSize    = 64 << 10
)

// bboltFault returns why a file with this head and size is not a complete bbolt database, empty
// if it is one. etcd appends a checksum of 32 bytes to a snapshot; a file that is shorter than
// its pages was cut off.
func bboltFault(head []byte, size int64) string {
	if size == 0 {
		return "empty"
	}
	for _, at := range []int{0, 512, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10} {
		if len(head) < at+pageHeaderSize+metaSize {
			break
		}
		meta := head[at+pageHeaderSize:][:metaSize]
		if binary.LittleEndian.Uint32(meta) != boltMagic || binary.LittleEndian.Uint32(meta[4:]) != boltVersion {
			continue
		}
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:metaSize-8]) // a hash takes everything
		if binary.LittleEndian.Uint64(meta[metaSize-8:]) != sum.Sum64() {
			continue
		}
		pageSize := uint64(binary.LittleEndian.Uint32(meta[8:]))
		pages := binary.LittleEndian.Uint64(meta[40:])
		if pageSize == 0 || pageSize > maxPageSize || pages > uint64(size)/pageSize { //nolint:gosec // a size is not negative
			return fmt.Sprintf("cut off: it has %d bytes, but %d pages of %d bytes", size, pages, pageSize)
		}
		return ""
	}
	return "not a bbolt database"
}
