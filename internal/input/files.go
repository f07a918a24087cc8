package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/stop"
)

// Stdin is the name of standard input among the paths of a command line.
const Stdin = "-"

// maxWait is the time in which a pipe must end. A program that asks a person for a password, or a server
// for a list, has written it all by then.
const maxWait = 5 * time.Minute

// Files opens what a command line names: regular files, standard input, and the pipes that a shell puts
// in place of <(command). It waits for a pipe only until a context ends, and for five minutes at most. A
// nil Files has no standard input.
type Files struct {
	ctx   context.Context //nolint:containedctx // io.Reader has no other way to get it
	stdin io.Reader       // nil once it was opened
	typed bool            // a person writes to stdin
	wait  time.Duration
}

// NewFiles returns the Files of a command. typed means that stdin is a terminal, where a person may think
// for as long as it takes.
func NewFiles(ctx context.Context, stdin io.Reader, typed bool) *Files {
	return &Files{ctx: ctx, stdin: stdin, typed: typed, wait: maxWait}
}

// Open opens the file of a path, or standard input for "-". It refuses a folder, a device and a named
// pipe with a *KindError. Standard input can be opened once.
func (f *Files) Open(path string) (io.ReadCloser, error) {
	if path == Stdin {
		if f == nil || f.stdin == nil {
			return nil, ErrStdinUsed
		}
		in := io.NopCloser(f.stdin)
		f.stdin = nil
		if f.typed {
			return in, nil
		}
		return f.patient(in, "standard input"), nil
	}
	file, info, err := open(path, func(mode fs.FileMode) bool {
		return mode.IsRegular() || mode&fs.ModeNamedPipe != 0 && isInherited(path)
	})
	switch {
	case err != nil:
		return nil, err
	case info.Mode().IsRegular():
		return file, nil
	}
	return f.patient(file, path), nil
}

// Read reads all of what Open opens, if it has at most limit bytes.
func (f *Files) Read(path string, limit int64) ([]byte, error) {
	data, _, err := f.ReadInfo(path, limit)
	return data, err
}

// ReadInfo is Read, and says what the file that it read is; nil for standard input.
func (f *Files) ReadInfo(path string, limit int64) ([]byte, fs.FileInfo, error) {
	in, err := f.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = in.Close() }() // it was only read
	var info fs.FileInfo
	size, name := int64(0), "standard input"
	if file, ok := fileOf(in); ok {
		if info, err = file.Stat(); err != nil {
			return nil, nil, err
		}
		name = path
		if info.Mode().IsRegular() {
			size = info.Size()
		}
	}
	data, err := readAll(name, in, size, limit)
	return data, info, err
}

// fileOf returns the file that Open opened; false for standard input.
func fileOf(in io.ReadCloser) (*os.File, bool) {
	if p, ok := in.(*patientReader); ok {
		in = p.ReadCloser
	}
	file, ok := in.(*os.File)
	return file, ok
}

// IsStream reports whether a path of a command line is standard input or a pipe, which can be read only once
// and has no mode and owner of its own.
func IsStream(path string) bool { return path == Stdin || isInherited(path) }

// isInherited reports whether a path leads to a pipe that this process was started with: /dev/stdin, or
// /dev/fd/63 where the shell had <(command). A named pipe elsewhere is none: perhaps nobody ever writes
// to it.
func isInherited(path string) bool {
	path = filepath.Clean(path)
	if dir := filepath.Dir(path); path == "/dev/stdin" || dir == "/dev/fd" || dir == "/proc/self/fd" {
		return true
	}
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && s.Type == unix.PIPEFS_MAGIC // a link to one of these
}

// patient returns a reader of a pipe whose reads end with the context and with the time of f.
func (f *Files) patient(in io.ReadCloser, name string) io.ReadCloser {
	ctx, wait := context.Background(), maxWait
	if f != nil {
		ctx, wait = f.ctx, f.wait
	}
	ctx, end := context.WithTimeoutCause(ctx, wait, &LateError{wait})
	return &patientReader{ReadCloser: in, name: name, patient: stop.NewReader(ctx, in), end: end}
}

// patientReader reads a pipe that may never end.
type patientReader struct {
	io.ReadCloser

	name    string
	patient *stop.Reader
	end     context.CancelFunc
}

// Read implements io.Reader.
func (p *patientReader) Read(into []byte) (int, error) {
	n, err := p.patient.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		err = pathError(p.name, err)
	}
	return n, err
}

// Close implements io.Closer.
func (p *patientReader) Close() error {
	p.end()
	return p.ReadCloser.Close()
}

// A LateError is the cause of an *fs.PathError: a pipe did not end in time.
type LateError struct {
	Wait time.Duration
}

func (e *LateError) Error() string {
	return fmt.Sprintf("it did not end within %s: whoever writes to the pipe must close it", e.Wait)
}
