package etcddb

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/input"
)

// SnapshotFile is one file of a folder of snapshots.
type SnapshotFile struct {
	Path string
	Info fs.FileInfo
	// Unreadable is set for one that is packed or encrypted in a way that is not read here.
	Unreadable bool
}

// maxSnapshotFiles bounds a folder of snapshots: one an hour for a year.
const maxSnapshotFiles = 10000

// SnapshotFiles lists the snapshots of a folder, by what is in them and not by their names alone:
// etcdctl's NAME.db, those of k3s and RKE2 without an extension or as NAME.zip, NAME.gz, and
// etcd-manager's NAME/etcd.backup.gz of kOps. It follows symlinks. Files that are still written
// (NAME.part, NAME.tmp), and what is neither a database nor packed, are left out.
func SnapshotFiles(dir string) ([]SnapshotFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []SnapshotFile
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			path = filepath.Join(path, "etcd.backup.gz")
			info, err = os.Stat(path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was removed just now, or points nowhere
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			continue
		}
		f := SnapshotFile{Path: path, Info: info, Unreadable: hasExtension(path, unreadableExtensions())}
		if !f.Unreadable {
			is, err := isSnapshotFile(path)
			if err != nil {
				return nil, err
			}
			if !is {
				continue
			}
		}
		if files = append(files, f); len(files) > maxSnapshotFiles {
			return nil, fmt.Errorf("%s: more than %d snapshots", dir, maxSnapshotFiles)
		}
	}
	return files, nil
}

func unreadableExtensions() []string {
	return []string{".zst", ".xz", ".bz2", ".lz4", ".tar", ".tgz", ".age", ".gpg", ".enc"}
}

func hasExtension(path string, extensions []string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(path)))
}

// isSnapshotFile reports whether a file is a snapshot, whole or broken: by its name, or by its head.
func isSnapshotFile(path string) (bool, error) {
	if hasExtension(path, []string{".part", ".tmp"}) {
		return false, nil
	}
	if hasExtension(path, []string{".db", ".zip", ".gz"}) {
		return true, nil
	}
	f, err := openToRead(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it was only read
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return packingOf(head[:n]) != plain || hasMagic(head[:n]), nil
}

// headSize has the first meta page of a bbolt database, whose magic number is in the first bytes.
const headSize = 64

type packing int

const (
	plain packing = iota
	gzipped
	zipped
)

func packingOf(head []byte) packing {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return zipped
	}
	return plain
}

// maxUnpacked bounds what a packed snapshot may become: twice the largest database that etcd's
// documentation suggests.
const maxUnpacked = 16 << 30

// ErrTooLarge means that a packed snapshot is larger than any database.
var ErrTooLarge = errors.New("larger than 16 GiB when it is unpacked")

// ErrDamaged means that a packed snapshot cannot be unpacked to its end.
var ErrDamaged = errors.New("damaged or cut off")

// SnapshotFault returns why a file is not a complete snapshot, by its meta pages; empty if it is one. It
// unpacks a packed file to its end, and keeps nothing of it. The error means that the file could not
// be read.
func SnapshotFault(ctx context.Context, path string) (string, error) {
	head, size, err := readSnapshotHead(ctx, path)
	switch {
	case errors.Is(err, ErrDamaged):
		return err.Error(), nil
	case err != nil:
		return "", err
	}
	return headFault(head, size), nil
}

// readSnapshotHead returns the first bytes of a snapshot, which hold both meta pages, and its size.
// The error is ErrDamaged where a packed one cannot be unpacked to its end.
func readSnapshotHead(ctx context.Context, path string) (head []byte, size int64, err error) {
	file, err := openToRead(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	s, err := unpacked(file)
	if err == nil {
		head, err = io.ReadAll(io.LimitReader(s, 2*maxPageSize))
	}
	if err == nil && s.packed {
		size, err = io.Copy(io.Discard, &interruptible{ctx, s})
		size += int64(len(head))
	} else {
		size = info.Size()
	}
	if ctx.Err() != nil {
		return nil, 0, ctx.Err()
	}
	if _, unread := errors.AsType[*fs.PathError](err); err != nil && !unread {
		return nil, 0, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return head, size, err
}

// snapshot is a file that is read, unpacked where it is packed.
type snapshot struct {
	io.Reader
	packed bool
}

func openToRead(path string) (*os.File, error) {
	file, _, err := input.Open(path)
	return file, err
}

func unpacked(file *os.File) (*snapshot, error) {
	head := make([]byte, headSize)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	s := &snapshot{Reader: file}
	switch packingOf(head[:n]) {
	case plain:
		return s, nil
	case gzipped:
		s.Reader, err = gzip.NewReader(file)
	case zipped:
		s.Reader, err = onlyFileOf(file)
	}
	if err != nil {
		return nil, err
	}
	s.Reader, s.packed = &bounded{s.Reader, maxUnpacked}, true
	return s, nil
}

// onlyFileOf opens the one file of a zip archive.
func onlyFileOf(file *os.File) (io.Reader, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		return nil, err
	}
	if len(archive.File) != 1 {
		return nil, fmt.Errorf("a zip archive of %d files; a snapshot is one", len(archive.File))
	}
	return archive.File[0].Open()
}

// bounded fails where more is read than there may be.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// interruptible fails where a context has ended.
type interruptible struct {
	ctx  context.Context //nolint:containedctx // io.Reader has no other way to get it
	from io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.from.Read(p)
}

// unpackedCopy returns a temporary file that has no name any more, with what a packed file has;
// the file itself where it is not packed.
func unpackedCopy(ctx context.Context, file *os.File) (*os.File, error) {
	s, err := unpacked(file)
	if err != nil || !s.packed {
		return file, err
	}
	temporary, err := os.CreateTemp("", "etcdsec-snapshot-*") // 0600
	if err != nil {
		return file, fmt.Errorf("unpacking it (TMPDIR names another folder): %w", err)
	}
	_ = os.Remove(temporary.Name()) // without a name, it is gone with the process
	if _, err := io.Copy(temporary, &interruptible{ctx, s}); err != nil {
		_ = temporary.Close() // it is thrown away
		return file, fmt.Errorf("unpacking it: %w", err)
	}
	_ = file.Close() // it was only read
	return temporary, nil
}
