package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// A source holds what is read: a database and, for a data dir, the other files of it.
type source struct {
	db   *etcddb.File
	wal  []string // the paths of its segments
	left []string // of other files that can hold values
}

// ErrInUse means that a running etcd writes to the file.
var ErrInUse = etcddb.ErrInUse

// maxFiles bounds the files of a folder. No member has nearly as many.
const maxFiles = 10000

// openSource opens a snapshot, a copy of a member's database, or a copy of its data dir.
func openSource(ctx context.Context, path string) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &fs.PathError{Op: "opening", Path: path, Err: cause(err)}
	}
	s := &source{}
	dbPath := path
	if info.IsDir() {
		if dbPath, err = s.list(path); err != nil {
			return nil, err
		}
	}
	if s.db, err = etcddb.OpenFile(ctx, dbPath); err != nil {
		return nil, err
	}
	switch {
	case len(s.db.Data) == 0:
		err = errors.New("the file is empty")
	case s.db.InUse():
		err = etcddb.ErrInUse
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("reading %s: %w", dbPath, err)
	}
	return s, nil
}

func (s *source) close() { s.db.Close() }

// list finds the files of a data dir and returns the path of its database.
func (s *source) list(dir string) (dbPath string, err error) {
	member := filepath.Join(dir, "member")
	if _, err := os.Stat(member); errors.Is(err, fs.ErrNotExist) && filepath.Base(dir) == "member" {
		member = dir
	}
	snapDir := filepath.Join(member, "snap")
	dbPath = filepath.Join(snapDir, "db")
	if _, err := os.Stat(dbPath); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("reading %s: not a data dir of etcd: it has no member/snap/db", dir)
		}
		return "", fmt.Errorf("reading %s: %w", dbPath, cause(err))
	}
	inSnap, err := files(snapDir)
	if err != nil {
		return "", err
	}
	s.left = slices.DeleteFunc(inSnap, func(path string) bool { return path == dbPath })
	inWAL, err := files(filepath.Join(member, "wal"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // --wal-dir may be elsewhere
		return "", err
	}
	for _, path := range inWAL {
		// A segment that etcd could not repair is kept as *.wal.broken, one to come is *.tmp.
		if strings.Contains(filepath.Base(path), ".wal") || strings.HasSuffix(path, ".tmp") {
			s.wal = append(s.wal, path)
		} else {
			s.left = append(s.left, path)
		}
	}
	return dbPath, nil
}

// files returns the regular files of a folder, in the order of their names.
func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, cause(err))
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("reading %s: more than %d files", dir, maxFiles)
	}
	var paths []string
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed just now, or points nowhere
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, cause(err))
		}
		if info.Mode().IsRegular() {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// cause returns the error without the path, which the caller names.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
