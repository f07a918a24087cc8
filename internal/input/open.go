// Package input opens files: those that a command line names, and those that are found in folders of
// others. It never waits for a pipe that nobody writes to, reads no device, and limits size and time.
// Its errors name the file and never quote its content.
package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrStdinUsed means that standard input was opened before.
var ErrStdinUsed = errors.New("standard input can be read only once")

// A KindError is the cause of an *fs.PathError: the path leads to something that cannot be read as a
// file. To read it could wait for ever, or never end.
type KindError struct {
	Mode fs.FileMode // the type, such as fs.ModeNamedPipe
}

func (e *KindError) Error() string {
	switch {
	case e.Mode.IsDir():
		return "not a regular file, but a folder"
	case e.Mode&fs.ModeNamedPipe != 0:
		return "not a regular file, but a named pipe: write its content to a file, and give that"
	case e.Mode&fs.ModeDevice != 0:
		return "not a regular file, but a device"
	default:
		return "not a regular file"
	}
}

// A SizeError is the cause of an *fs.PathError: a file is larger than anything of its kind.
type SizeError struct {
	Limit int64 // in bytes
}

func (e *SizeError) Error() string { return fmt.Sprintf("larger than %d bytes", e.Limit) }

// Open opens a regular file to read it. It never waits, and refuses anything else with a *KindError.
func Open(path string) (*os.File, fs.FileInfo, error) {
	return open(path, fs.FileMode.IsRegular)
}

// open opens what has a wanted type. It asks before, because to open a device or a pipe may do something,
// and again behind, because the path may lead elsewhere by then.
func open(path string, wanted func(fs.FileMode) bool) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !wanted(info.Mode()) {
		return nil, nil, pathError(path, &KindError{info.Mode().Type()})
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil && !wanted(info.Mode()) {
		err = pathError(path, &KindError{info.Mode().Type()})
	}
	if err != nil {
		_ = f.Close() // it was not read
		return nil, nil, err
	}
	return f, info, nil
}

// ReadFile reads a regular file of at most limit bytes. A larger one is a *SizeError, and anything else
// than a file a *KindError.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return readAll(path, f, info.Size(), limit)
}

// readAll reads at most limit bytes of what is called name. size is what it is said to have; the files of
// /proc have more than that.
func readAll(name string, r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, pathError(name, &SizeError{limit})
	}
	// At once as large as the file seems, so that a large one is not copied while it is read.
	read := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := read.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, pathError(name, err)
	}
	if int64(read.Len()) > limit {
		return nil, pathError(name, &SizeError{limit})
	}
	return read.Bytes(), nil
}

// pathError names what was read, in place of what the error names.
func pathError(name string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return &fs.PathError{Op: "read", Path: name, Err: err}
}
