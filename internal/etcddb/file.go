package etcddb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"
)

// File is a file that is read through memory. It is mapped read-only, so that not even
// a fault of this program can write to it. Read Data inside of Guard.
type File struct {
	Path string
	Info fs.FileInfo // as it was when the file was opened
	Data []byte      // valid until Close; nil of an empty file

	file *os.File
}

// ErrInUse means that a running etcd writes to the file.
var ErrInUse = errors.New("a running etcd is writing to it; stop it, or read a snapshot of it or a copy that was made while it was stopped")

// OpenFile maps a regular file, which may be empty. One that is packed by gzip or zip is unpacked
// into a temporary file without a name first. It refuses a named pipe or a device rather than wait
// for it.
func OpenFile(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, cause(err))
	}
	f := &File{Path: path, file: file}
	if err := f.load(); err != nil {
		_ = file.Close() // it was only read
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return f, nil
}

func (f *File) load() error {
	info, err := f.file.Stat()
	if err != nil {
		return cause(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if f.file, err = unpackedCopy(f.file); err != nil {
		return err
	}
	if info, err = f.file.Stat(); err != nil {
		return cause(err)
	}
	f.Info = info
	if info.Size() == 0 {
		return nil
	}
	if info.Size() != int64(int(info.Size())) {
		return errors.New("larger than this machine can address")
	}
	f.Data, err = syscall.Mmap(int(f.file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	return err
}

// Close ends the mapping: Data is not to be read afterwards.
func (f *File) Close() {
	if f.Data != nil {
		_ = syscall.Munmap(f.Data) // it is what Mmap returned
	}
	_ = f.file.Close() // it was only read
}

// InUse reports whether an etcd has the file open. bbolt holds an exclusive lock on the file of
// a running member. The shared one that tells is given back at once: held for as long as we
// read, it would keep an etcd that is started meanwhile from starting.
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

// addressed matches what the runtime panics with on a fault at an address (runtime/debug).
type addressed interface {
	error
	Addr() uintptr
}

// Guard runs what reads mapped files. A mapped file that is cut off meanwhile, or a disk that
// cannot read a sector, is a signal rather than an error; it is returned as one.
func Guard(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case addressed:
			err = errors.New("the disk could not read it, or it was cut off while it was read")
		default:
			panic(fault)
		}
	}()
	return read()
}

// cause returns the error without the path, which the caller names.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
