package etcddb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/etcdsec/etcdsec/internal/input"
)

// File is a memory-mapped file. The mapping is read-only, so that even a bug of this program
// cannot write to it. Read Data only inside Guard.
type File struct {
	Path string
	Info fs.FileInfo // as it was when the file was opened
	Data []byte      // valid until Close; nil of an empty file

	file *os.File
}

// ErrInUse means that a running etcd has the file open.
var ErrInUse = errors.New("a running etcd is writing to it; stop it, or read a snapshot of it or a copy that was made while it was stopped")

// OpenFile maps a regular file, which may be empty. It first unpacks a file that is packed by gzip or
// zip, into a temporary file without a name. It refuses a named pipe or a device, and does not wait for
// it, and it refuses a file that is far larger than what is on the disk.
func OpenFile(ctx context.Context, path string) (*File, error) {
	file, _, err := input.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, withoutPath(err))
	}
	f := &File{Path: path, file: file}
	if err := f.load(ctx); err != nil {
		_ = file.Close() // it was only read
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return f, nil
}

func (f *File) load(ctx context.Context) error {
	var err error
	if f.file, err = unpackedCopy(ctx, f.file); err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err != nil {
		return withoutPath(err)
	}
	f.Info = info
	if info.Size() == 0 {
		return nil
	}
	if info.Size() != int64(int(info.Size())) {
		return errors.New("larger than this machine can address")
	}
	if onDisk, sparse := sparseness(info); sparse {
		return fmt.Errorf("it has %d bytes, of which %d are on the disk: no file of etcd is so; `cp --sparse=never` makes a copy without holes", info.Size(), onDisk)
	}
	f.Data, err = syscall.Mmap(int(f.file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	return err
}

// sparseness returns how many bytes of a file are on the disk, and whether that is so little of a
// large file that reading it would take much longer than the disk says. Files of etcd have holes only
// at their end, of 64 MiB at most (bbolt AllocSize, etcd wal.SegmentSizeBytes). A disk that compresses
// makes one a tenth of its size, or a part of that.
func sparseness(info fs.FileInfo) (onDisk int64, sparse bool) {
	const large, least = 1 << 30, 64
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Size() < large {
		return 0, false
	}
	const block = 512 // stat(2)
	onDisk = stat.Blocks * block
	return onDisk, onDisk < info.Size()/least
}

// Close ends the mapping. Do not read Data afterwards.
func (f *File) Close() {
	if f.Data != nil {
		_ = syscall.Munmap(f.Data) // it is what Mmap returned
	}
	_ = f.file.Close() // it was only read
}

// InUse reports whether an etcd has the file open. bbolt holds an exclusive lock on the file of a
// running member. InUse tries a shared lock and releases it at once: if it kept the lock during the
// read, an etcd could not start meanwhile.
func (f *File) InUse() bool {
	fd := int(f.file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		// Some network file systems have no locks; then nothing can be told.
		return errors.Is(err, syscall.EWOULDBLOCK)
	}
	_ = syscall.Flock(fd, syscall.LOCK_UN) // closing gives it back at the latest
	return false
}

// Changed reports whether the file was changed since it was opened.
func (f *File) Changed() bool {
	info, err := f.file.Stat()
	return err != nil || info.Size() != f.Info.Size() || !info.ModTime().Equal(f.Info.ModTime())
}

// addressFault is the type of the runtime's panic for a memory fault (runtime/debug).
type addressFault interface {
	error
	Addr() uintptr
}

// Guard runs a function that reads mapped files. If the file becomes shorter meanwhile, or the disk
// cannot read a sector, the kernel sends a signal; Guard returns it as an error.
func Guard(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case addressFault:
			err = errors.New("the disk could not read it, or it was cut off while it was read")
		default:
			panic(fault)
		}
	}()
	return read()
}

// withoutPath returns the error without the path, which the caller names.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
