package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	// maxSnapshots bounds the files *.db in a folder: one an hour for a year.
	maxSnapshots = 10000
	// maxIncomplete bounds the files that are skipped because they are not snapshots.
	maxIncomplete = 100
)

// Snapshots lists the files *.db of a folder, and reads the head of each from the newest to the
// first complete one. It follows symlinks but enters no subfolder.
func Snapshots(dir string, maxAge time.Duration) *audit.Snapshots {
	s := &audit.Snapshots{Dir: dir, MaxAge: maxAge}
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.Reason = cleanText(pathCause(err))
		return s
	}
	type candidate struct {
		path     string
		modified time.Time
	}
	var candidates []candidate
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path)
		switch {
		case !strings.HasSuffix(path, ".db"), errors.Is(err, fs.ErrNotExist): // it was removed just now, or points nowhere
		case err != nil:
			s.Reason = cleanText(entry.Name() + ": " + pathCause(err))
			return s
		case info.Mode().IsRegular():
			candidates = append(candidates, candidate{path, info.ModTime()})
		}
	}
	if len(candidates) > maxSnapshots {
		s.Reason = fmt.Sprintf("it has more than %d files *.db", maxSnapshots)
		return s
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return b.modified.Compare(a.modified) })
	for _, c := range candidates[:min(len(candidates), maxIncomplete)] {
		fault, err := snapshotFault(c.path)
		if err != nil {
			s.Reason = cleanText(filepath.Base(c.path) + ": " + pathCause(err))
			return s
		}
		s.Files = append(s.Files, audit.Snapshot{Name: cleanText(filepath.Base(c.path)), Modified: c.modified, Fault: fault})
		if fault == "" {
			break
		}
	}
	return s
}

// snapshotFault returns why a file is not a snapshot, empty if it is one. The error means that
// the file could not be read.
func snapshotFault(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	head := make([]byte, 2*maxPageSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	return bboltFault(head[:n], info.Size()), nil
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
