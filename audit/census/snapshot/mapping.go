package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"
)

// A mapping is a file that is read through memory. It is mapped read-only, so that not even
// a fault of this program can write to it.
type mapping struct {
	path string
	file *os.File
	info fs.FileInfo
	data []byte
}

// ErrInUse is the refusal of a file that a running etcd writes to.
var ErrInUse = errors.New("a running etcd is writing to it; stop it, or read a snapshot of it or a copy that was made while it was stopped")

// openMapping maps a regular file, which may be empty. A named pipe or a device is refused
// rather than waited for.
func openMapping(path string) (*mapping, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, cause(err))
	}
	m := &mapping{path: path, file: file}
	if err := m.load(); err != nil {
		_ = file.Close() // it was only read
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return m, nil
}

func (m *mapping) load() error {
	info, err := m.file.Stat()
	if err != nil {
		return cause(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	m.info = info
	if info.Size() == 0 {
		return nil
	}
	if info.Size() != int64(int(info.Size())) {
		return errors.New("larger than this machine can address")
	}
	m.data, err = syscall.Mmap(int(m.file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	return err
}

func (m *mapping) close() {
	if m.data != nil {
		_ = syscall.Munmap(m.data) // it is what Mmap returned
	}
	_ = m.file.Close() // it was only read
}

// inUse says whether an etcd has the file open. bbolt holds an exclusive lock on the file of
// a running member. The shared one that tells is given back at once: held for as long as we
// read, it would keep an etcd that is started meanwhile from starting.
func (m *mapping) inUse() bool {
	fd := int(m.file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		// Some network file systems have no locks; then nothing can be told.
		return errors.Is(err, syscall.EWOULDBLOCK)
	}
	_ = syscall.Flock(fd, syscall.LOCK_UN) // closing gives it back at the latest
	return false
}

// changed says whether the file is another one than that which was opened.
func (m *mapping) changed() bool {
	info, err := m.file.Stat()
	return err != nil || info.Size() != m.info.Size() || !info.ModTime().Equal(m.info.ModTime())
}

// addressed is what the runtime panics with on a fault at an address (runtime/debug).
type addressed interface {
	error
	Addr() uintptr
}

// guarded runs what reads mappings. A mapped file that is cut off meanwhile, or a disk that
// cannot read a sector, is a signal rather than an error; it is returned as one.
func guarded(read func() error) (err error) {
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

// cause is the error without the path, which the caller names.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
