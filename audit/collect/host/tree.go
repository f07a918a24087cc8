package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxFile is far above a manifest, a unit or a configuration file.
	maxFile = 1 << 20

	// maxNames bounds a folder that is listed. /etc/ssl/certs has some hundreds.
	maxNames = 4096

	// maxLinks is how many symlinks Linux follows in one path.
	maxLinks = 40
)

// tree is a folder that is the root of a host or of a container. A path and every symlink in it
// resolve inside, as they do for a process with that root.
type tree struct {
	dir  string // on this machine
	root *os.Root
}

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir + "/.") // not a pipe, which would make it wait
	if err != nil {
		return nil, pathError("open", dir, err)
	}
	return &tree{dir: dir, root: root}, nil
}

func (t *tree) close() {
	if t != nil {
		_ = t.root.Close() // it was only read
	}
}

// resolve returns the path below the root that a path leads to, without symlinks. os.Root alone
// refuses absolute symlinks, of which /etc is full, and those that lead above the root, which
// for a process end at its root.
func (t *tree) resolve(name string) (string, error) {
	rest := strings.Split(name, "/")
	var at []string
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = at[:max(len(at)-1, 0)]
			continue
		}
		next := path.Join(append(slices.Clip(at), part)...)
		info, err := t.root.Lstat(next)
		if err != nil {
			return "", pathError("open", name, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = append(at, part)
			continue
		}
		if links++; links > maxLinks {
			return "", pathError("open", name, unix.ELOOP)
		}
		target, err := t.root.Readlink(next)
		if err != nil {
			return "", pathError("open", name, err)
		}
		if path.IsAbs(target) {
			at = nil
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	if len(at) == 0 {
		return ".", nil
	}
	return path.Join(at...), nil
}

// pathError names the path that was asked for, in place of the one where os.Root was.
func pathError(op, name string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// diskPath converts a resolved path to a path of this machine.
func (t *tree) diskPath(resolved string) string { return filepath.Join(t.dir, resolved) }

// stat follows symlinks.
func (t *tree) stat(name string) (fs.FileInfo, error) {
	resolved, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := t.root.Lstat(resolved)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return info, nil
}

// open opens a regular file or a folder. It refuses anything else, such as a pipe that nobody
// writes to, and does not wait for it.
func (t *tree) open(name string, want fs.FileMode) (*os.File, error) {
	resolved, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	f, err := t.root.OpenFile(resolved, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Type() != want {
		err = fmt.Errorf("not a %s", map[fs.FileMode]string{0: "regular file", fs.ModeDir: "folder"}[want])
	}
	if err != nil {
		_ = f.Close() // it was not read
		return nil, pathError("open", name, err)
	}
	return f, nil
}

// readFile reads a regular file of at most limit bytes.
func (t *tree) readFile(name string, limit int64) ([]byte, error) {
	f, err := t.open(name, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, pathError("read", name, err)
	}
	if int64(len(data)) > limit {
		return nil, pathError("read", name, fmt.Errorf("larger than %d bytes", limit))
	}
	return data, nil
}

// names lists a folder in order. If it has more than most names, it lists none.
func (t *tree) names(name string, most int) ([]string, error) {
	f, err := t.open(name, fs.ModeDir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(most + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, pathError("read", name, err)
	}
	if len(names) > most {
		return nil, pathError("read", name, fmt.Errorf("more than %d files in it", most))
	}
	return sortText(names), nil
}

// readlink returns the target of a symlink that is the last part of a path.
func (t *tree) readlink(name string) (string, error) {
	dir, err := t.resolve(path.Dir(name))
	if err != nil {
		return "", err
	}
	target, err := t.root.Readlink(path.Join(dir, path.Base(name)))
	if err != nil {
		return "", pathError("readlink", name, err)
	}
	return target, nil
}

// isProc reports whether a folder is the kernel's own list of processes. Only there may the
// link /proc/PID/root be followed: in a copy it could lead anywhere.
func (t *tree) isProc(name string) bool {
	f, err := t.open(name, fs.ModeDir)
	if err != nil {
		return false
	}
	defer f.Close()
	var s unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &s) == nil && s.Type == unix.PROC_SUPER_MAGIC
}
