package durable

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/failpoint"
)

// unlink removes a name, unless it does not exist.
func (d *folder) unlink(name string) error {
	failpoint.Here()
	return d.unlinkAt(name, 0)
}

func (d *folder) unlinkAt(name string, flags int) error {
	err := d.do("remove", name, nil, func() error { return unix.Unlinkat(d.fd(), name, flags) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeAll removes a file or folder with everything in it, unless it does not exist.
func (d *folder) removeAll(name string) error {
	failpoint.Here()
	return d.removeTree(name)
}

func (d *folder) removeTree(name string) error {
	there, err := d.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !there.mode.IsDir() {
		return d.unlinkAt(name, 0)
	}
	sub, err := d.child(name)
	if err != nil {
		return err
	}
	defer sub.close()
	entries, err := sub.list()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := sub.removeTree(e.Name()); err != nil {
			return err
		}
	}
	return d.unlinkAt(name, unix.AT_REMOVEDIR)
}

// rename gives an entry another name in the folder.
func (d *folder) rename(from, to string) error {
	failpoint.Here()
	return d.do("rename", to, nil, func() error { return unix.Renameat(d.fd(), from, d.fd(), to) })
}

// exchange lets two entries change places, in one step.
func (d *folder) exchange(one, other string) error {
	failpoint.Here()
	return d.do("rename", other, nil, func() error { return unix.Renameat2(d.fd(), one, d.fd(), other, unix.RENAME_EXCHANGE) })
}

// symlink makes a symlink. Its owner does not matter to those who follow it, and is set only where nobody
// can put another file in its place meanwhile.
func (d *folder) symlink(target, name string, owner *Owner) error {
	failpoint.Here()
	err := d.do("symlink", name, d.makerOf(owner), func() error { return unix.Symlinkat(target, d.fd(), name) })
	if err != nil || owner == nil || !d.isTrusted() {
		return err
	}
	return d.do("chown", name, nil, func() error {
		return unix.Fchownat(d.fd(), name, owner.UID, owner.GID, unix.AT_SYMLINK_NOFOLLOW)
	})
}
