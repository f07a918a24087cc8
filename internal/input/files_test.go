package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipe returns the ends of a pipe, and the path by which a shell would give it in place of <(command).
func pipe(t *testing.T) (w *os.File, path string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { path = fmt.Sprintf("/dev/fd/%d", fd) })
	return w, path
}

func TestFilesOfEveryKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo, sparse, small := filepath.Join(dir, "fifo"), filepath.Join(dir, "sparse"), filepath.Join(dir, "small")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, sparse, nil)
	write(t, small, []byte("text"))
	if err := os.Truncate(sparse, 1<<40); err != nil {
		t.Fatal(err)
	}
	files := NewFiles(t.Context(), strings.NewReader("typed"), false)
	for _, path := range []string{fifo, dir, "/dev/zero", "/dev/null"} {
		_, own := ReadFile(path, 10)
		_, named := files.Read(path, 10)
		for _, err := range []error{own, named} {
			if _, is := errors.AsType[*KindError](err); !is || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	_, own := ReadFile(sparse, 10)
	_, named := files.Read(sparse, 10)
	for _, err := range []error{own, named} {
		if _, is := errors.AsType[*SizeError](err); !is || !strings.Contains(err.Error(), sparse) {
			t.Errorf("%v", err)
		}
	}
	if data, err := files.Read(small, 4); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := files.Read(small, 3); err == nil {
		t.Error("a file above the limit was read")
	}
	// What the kernel makes has no size of its own.
	if data, err := ReadFile("/proc/self/status", 1<<20); err != nil || len(data) == 0 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if data, err := files.Read(Stdin, 10); err != nil || string(data) != "typed" {
		t.Errorf("%q, %v", data, err)
	}
	for _, files := range []*Files{files, nil} {
		if _, err := files.Read(Stdin, 10); !errors.Is(err, ErrStdinUsed) {
			t.Errorf("a second time: %v", err)
		}
	}
}

// A pipe of the shell is read, and neither it nor standard input can hold up a command or fill its memory.
func TestPipes(t *testing.T) {
	t.Parallel()
	w, path := pipe(t)
	if _, err := w.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if data, err := (*Files)(nil).Read(link, 10); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := ReadFile(path, 10); err == nil {
		t.Error("a pipe was read where only files are")
	}

	ended, end := context.WithCancel(t.Context())
	end()
	stdin, silent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = silent.Close() })
	_, open := pipe(t)
	for name, ctx := range map[string]context.Context{"late": t.Context(), "ended": ended} {
		files := NewFiles(ctx, stdin, false)
		files.wait = time.Millisecond
		for _, path := range []string{open, Stdin} {
			_, err := files.Read(path, 10)
			_, late := errors.AsType[*LateError](err)
			_, named := errors.AsType[*fs.PathError](err)
			if !named || late != (name == "late") || !late && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %s: %v", name, path, err)
			}
		}
	}

	w, path = pipe(t)
	go func() { _, _ = io.Copy(w, endless{}) }() // it ends with the pipe
	if _, err := NewFiles(t.Context(), nil, false).Read(path, 1<<20); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("an endless pipe: %v", err)
	}
	if _, err := NewFiles(t.Context(), endless{}, true).Read(Stdin, 1<<20); err == nil || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("endless standard input: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
