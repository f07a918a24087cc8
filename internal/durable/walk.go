package durable

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is the number of symlinks on the way to a folder that Linux follows too.
const maxLinks = 40

// openFolder opens a folder. On the way there, it follows only symlinks that root or this process's user
// made in a folder of theirs, and those to another entry of the same folder, as of a bundle: any other
// one could lead root to a folder that somebody else chose.
func openFolder(path string) (*folder, error) { return walker{}.open(path) }

// walker tells how to walk to a folder.
type walker struct {
	// missing, if not nil, is called for a folder that is not there, with the folder in which it should be, and
	// whether it is the last of the path.
	missing func(in *folder, name string, last bool) (*folder, error)
	// strict refuses a folder on the way that another user than root or this process's can change.
	strict bool
	// also is another user who may change the folders on the way; 0 is nobody else.
	also int
}

// trusts reports whether a user may change what the walk relies on.
func (w walker) trusts(uid int) bool { return isTrustedUser(uid) || uid == w.also }

// open opens a folder.
func (w walker) open(path string) (*folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	here, err := openAbsolute()
	if err != nil {
		return nil, err
	}
	found, err := w.descend(here, components(abs))
	if err != nil {
		return nil, err
	}
	found.path = filepath.Clean(path)
	return found, nil
}

// descend opens the folder that a path in another one leads to, which it closes.
func (w walker) descend(here *folder, todo []string) (*folder, error) {
	for links := 0; len(todo) > 0; {
		if err := w.check(here); err != nil {
			here.close()
			return nil, err
		}
		name := todo[0]
		todo = todo[1:]
		next, target, err := here.step(name)
		if errors.Is(err, fs.ErrNotExist) && w.missing != nil {
			next, err = w.missing(here, name, len(todo) == 0)
		}
		if err == nil && next == nil { // a symlink
			todo = append(components(target), todo...)
			if links++; links > maxLinks {
				err = here.fault("open", name, unix.ELOOP)
			} else if filepath.IsAbs(target) {
				next, err = openAbsolute()
			} else {
				continue
			}
		}
		here.close()
		if err != nil {
			return nil, err
		}
		here = next
	}
	if err := w.check(here); err != nil {
		here.close()
		return nil, err
	}
	return here, nil
}

func (w walker) check(d *folder) error {
	switch {
	case !w.strict:
		return nil
	case w.trusts(d.owner.UID):
		return d.entry().checkWritable(d.path, true)
	}
	return d.distrust(true)
}

// locate follows the symlinks of a file's path, as far as they may be followed: those of root and this
// process's user in a folder of theirs, those to another entry of the same folder, and those of
// [ProjectFiles]. It returns the file's folder and its name there.
func (w walker) locate(path string) (in *folder, name string, err error) {
	in, err = w.open(filepath.Dir(path))
	if err != nil {
		return nil, "", err
	}
	name = filepath.Base(path)
	for range maxLinks {
		there, err := in.lstat(name)
		if err == nil && there.mode&fs.ModeSymlink == 0 {
			return in, name, nil
		}
		var target string
		if err == nil {
			target, err = in.readlink(name)
		}
		if err == nil && !in.follows(there) && !isSibling(target) && target != filepath.Join(DataLink, name) {
			err = in.symlinkFault(name)
		}
		if err != nil {
			in.close()
			return nil, "", err
		}
		if filepath.IsAbs(target) {
			in.close()
			if in, err = openAbsolute(); err != nil {
				return nil, "", err
			}
		}
		if in, err = w.descend(in, components(filepath.Dir(target))); err != nil {
			return nil, "", err
		}
		name = filepath.Base(target)
	}
	in.close()
	return nil, "", &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
}

// follows reports whether a symlink of the folder may be followed anywhere: it and the folder belong to root
// or this process's user.
func (d *folder) follows(link entry) bool {
	return isTrustedUser(d.owner.UID) && isTrustedUser(link.owner.UID)
}

// components returns the names on a path.
func components(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == filepath.Separator })
}

// openAbsolute opens the folder that is the root of all paths.
func openAbsolute() (*folder, error) {
	const root = string(filepath.Separator)
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	return newFolder(fd, root)
}

// step opens the next folder of a path, or returns the target of the symlink that is there.
func (d *folder) step(name string) (next *folder, target string, err error) {
	var fd int
	var stat unix.Stat_t
	err = d.do("open", name, d.rights, func() (err error) {
		fd, err = unix.Openat(d.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if err := retry(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		_ = unix.Close(fd)
		return nil, "", d.fault("stat", name, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFLNK {
		next, err = newFolder(fd, filepath.Join(d.path, name))
		return next, "", err
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	if target, err = readlinkat(fd, ""); err != nil {
		return nil, "", d.fault("readlink", name, err)
	}
	if isSibling(target) || d.follows(entryOf(&stat)) {
		return nil, target, nil
	}
	return nil, "", d.planted(name, target, ownerOfStat(&stat))
}

// isSibling reports whether the target of a symlink is an entry of the symlink's own folder.
func isSibling(target string) bool {
	return target != "." && target != ".." && target != "" && !strings.ContainsRune(target, filepath.Separator)
}
