package durable

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/failpoint"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/internal/posixacl"
)

// folder is an open folder. All work in it goes through its descriptor: nobody can exchange it for
// another one meanwhile. No method follows a symlink, and none leaves the folder.
type folder struct {
	file   *os.File // opened with O_PATH
	path   string   // for messages
	owner  Owner
	mode   fs.FileMode // the permission bits and the sticky bit
	grants []posixacl.Grant
	rights *rights // with which to read in it and to make entries in it
}

// newFolder takes over the descriptor of a folder.
func newFolder(fd int, path string) (*folder, error) {
	d := &folder{file: os.NewFile(uintptr(fd), path), path: path}
	var stat unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		d.close()
		return nil, d.fault("stat", "", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		d.close()
		return nil, d.fault("open", "", unix.ENOTDIR)
	}
	d.owner, d.mode = ownerOfStat(&stat), modeOfStat(&stat)
	d.grants = grantsOf(stat.Mode, func() ([]posixacl.Grant, error) { return posixacl.Of(fd) })
	d.rights = rightsOf(d.owner)
	return d, nil
}

func (d *folder) close() { _ = d.file.Close() } // it was never written to

func (d *folder) fd() int { return int(d.file.Fd()) }

// fault returns the error of a call about an entry, or about the folder if name is empty.
func (d *folder) fault(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[unix.Errno](err); !ok {
		return err
	}
	return &fs.PathError{Op: op, Path: filepath.Join(d.path, name), Err: err}
}

// do runs one call on an entry, with the given rights.
func (d *folder) do(op, name string, with *rights, call func() error) error {
	return d.fault(op, name, with.run(func() error { return retry(call) }))
}

// retry repeats a call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func ownerOfStat(stat *unix.Stat_t) Owner { return Owner{UID: int(stat.Uid), GID: int(stat.Gid)} }

func modeOfStat(stat *unix.Stat_t) fs.FileMode {
	mode := fs.FileMode(stat.Mode) & fs.ModePerm
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFREG:
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFCHR, unix.S_IFBLK:
		mode |= fs.ModeDevice
	default:
		mode |= fs.ModeIrregular
	}
	if stat.Mode&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// isTrusted reports whether only root and this process's user can change the entries of the folder.
func (d *folder) isTrusted() bool { return isTrustedUser(d.owner.UID) && d.mode.Perm()&0o022 == 0 }

// isTrustedUser reports whether a user is root or that of this process.
func isTrustedUser(uid int) bool { return uid == 0 || uid == os.Geteuid() }

// An entry is what a folder has under one name.
type entry struct {
	mode  fs.FileMode // type and permission bits
	owner Owner
	links uint64
	size  int64

	grants []posixacl.Grant // of its access control list
}

func entryOf(stat *unix.Stat_t) entry {
	return entry{mode: modeOfStat(stat), owner: ownerOfStat(stat), links: uint64(stat.Nlink), size: stat.Size} //nolint:unconvert // it has 32 bits on some machines
}

// lstat returns what is under a name.
func (d *folder) lstat(name string) (entry, error) {
	var stat unix.Stat_t
	err := d.do("lstat", name, nil, func() error { return unix.Fstatat(d.fd(), name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
	e := entryOf(&stat)
	if err == nil {
		e.grants = grantsOf(stat.Mode, func() ([]posixacl.Grant, error) { return posixacl.At(d.fd(), name) })
	}
	return e, err
}

// entry returns the folder as its own folder has it.
func (d *folder) entry() entry { return entry{mode: d.mode, owner: d.owner, grants: d.grants} }

// readlink returns the target of a symlink.
func (d *folder) readlink(name string) (string, error) {
	var target string
	err := d.do("readlink", name, nil, func() (err error) {
		target, err = readlinkat(d.fd(), name)
		return err
	})
	return target, err
}

func readlinkat(fd int, name string) (string, error) {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, name, buffer)
	return string(buffer[:max(n, 0)]), err
}

// list returns the entries, in the order of their names. Their Info must not be used: it looks the path up again.
func (d *folder) list() ([]fs.DirEntry, error) {
	f, err := d.reopen()
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, err
}

// reopen opens the folder for reading, syncing and locking.
func (d *folder) reopen() (*os.File, error) {
	var fd int
	err := d.do("open", "", nil, func() (err error) {
		fd, err = unix.Openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), d.path), nil
}

// sync makes the names in the folder durable.
func (d *folder) sync() error {
	f, err := d.reopen()
	if err != nil {
		return err
	}
	failpoint.Here()
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return fmt.Errorf("syncing folder: %w", err)
	}
	return f.Close()
}

// child opens a folder in this one. It follows no symlink.
func (d *folder) child(name string) (*folder, error) {
	var fd int
	err := d.do("open", name, d.rights, func() (err error) {
		fd, err = unix.Openat(d.fd(), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if there, statErr := d.lstat(name); errors.Is(err, unix.ENOTDIR) && statErr == nil && there.mode&fs.ModeSymlink != 0 {
		err = d.symlinkFault(name)
	}
	if err != nil {
		return nil, err
	}
	return newFolder(fd, filepath.Join(d.path, name))
}

// makerOf returns the rights with which to make an entry that shall belong to owner.
func (d *folder) makerOf(owner *Owner) *rights {
	if owner == nil || owner.UID == d.owner.UID {
		return d.rights
	}
	return nil
}

// newOwner returns the owner that a new entry gets, if nobody gave one; nil if the process need not or
// cannot set it. A folder in which everybody may write, such as /tmp, passes its owner to nobody.
func (d *folder) newOwner() *Owner {
	if d.mode.Perm()&0o002 != 0 {
		return nil
	}
	return d.owner.toSet()
}

// ownerFor returns the owner that an entry gets when it is written: the given one, or else that of what
// is there, or else that of the folder.
func (d *folder) ownerFor(name string, given *Owner) (*Owner, error) {
	if given != nil {
		return given, nil
	}
	there, err := d.lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && there.mode&fs.ModeSymlink != 0 {
		return d.newOwner(), nil
	}
	if err != nil {
		return nil, err
	}
	return there.owner.toSet(), nil
}

// makeDir makes a folder of mode 0700 in this one, whatever the umask, and opens it. It belongs to the
// owner of this folder until chown gives it to somebody else: meanwhile nobody else can change it.
func (d *folder) makeDir(name string) (*folder, error) {
	failpoint.Here()
	if err := d.do("mkdir", name, d.rights, func() error { return unix.Mkdirat(d.fd(), name, 0o700) }); err != nil {
		return nil, err
	}
	made, err := d.child(name)
	if err != nil {
		return nil, err
	}
	failpoint.Here()
	maker := os.Geteuid()
	if d.rights != nil {
		maker = d.rights.uid
	}
	if err := made.restrict(maker); err != nil {
		made.close()
		return nil, err
	}
	return made, nil
}

// restrict sets the mode of a new folder to 0700. It refuses one that the maker did not make: another
// user exchanged it.
func (d *folder) restrict(maker int) error {
	if d.owner.UID != maker {
		return &TrustError{Path: d.path, Owner: d.owner, Fault: "is not the folder that was made there"}
	}
	f, err := d.reopen()
	if errors.Is(err, fs.ErrPermission) { // with umask 0777, its owner cannot open it yet
		return os.Chmod("/proc/self/fd/"+strconv.Itoa(d.fd()), 0o700)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was not written to
	return f.Chmod(0o700)
}

// chown gives the folder to a user, if owner is not nil.
func (d *folder) chown(owner *Owner) error {
	if owner == nil || *owner == d.owner {
		return nil
	}
	err := d.do("chown", "", nil, func() error { return unix.Fchownat(d.fd(), "", owner.UID, owner.GID, unix.AT_EMPTY_PATH) })
	if err == nil {
		d.owner, d.rights = *owner, rightsOf(*owner)
	}
	return err
}

// openFile opens a file with flags. It follows no symlink and waits for no pipe.
func (d *folder) openFile(name string, flags int, with *rights) (*os.File, entry, error) {
	var fd int
	err := d.do("open", name, with, func() (err error) {
		fd, err = unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
		return err
	})
	if errors.Is(err, unix.ELOOP) {
		err = d.symlinkFault(name)
	}
	if err != nil {
		return nil, entry{}, err
	}
	f := os.NewFile(uintptr(fd), filepath.Join(d.path, name))
	var stat unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		_ = f.Close()
		return nil, entry{}, d.fault("stat", name, err)
	}
	e := entryOf(&stat)
	e.grants = grantsOf(stat.Mode, func() ([]posixacl.Grant, error) { return posixacl.Of(fd) })
	return f, e, nil
}

// readFile reads a regular file of at most limit bytes, which belongs to root, to this process's user or to
// the folder's owner.
func (d *folder) readFile(name string, limit int64) ([]byte, entry, error) {
	// To open a device or a pipe may do something, so it is asked before, too.
	if there, err := d.lstat(name); err != nil {
		return nil, entry{}, err
	} else if there.mode&fs.ModeSymlink == 0 && !there.mode.IsRegular() {
		return nil, entry{}, d.irregular("read", name, there)
	}
	f, e, err := d.openFile(name, unix.O_RDONLY, d.rights)
	if errors.Is(err, fs.ErrPermission) && d.rights != nil {
		if there, statErr := d.lstat(name); statErr == nil && there.owner.UID != d.owner.UID {
			return nil, e, d.foreign(name, there)
		}
	}
	if err != nil {
		return nil, e, err
	}
	defer func() { _ = f.Close() }() // it was only read
	switch {
	case !e.mode.IsRegular():
		return nil, entry{}, d.irregular("read", name, e)
	case e.owner.UID == d.owner.UID:
	case !isTrustedUser(e.owner.UID) || e.links > 1 && !d.isTrusted():
		return nil, e, d.foreign(name, e)
	}
	data, err := readLimited(f, e.size, limit)
	return data, e, err
}

// irregular returns the error about what is no regular file.
func (d *folder) irregular(op, name string, e entry) error {
	return &fs.PathError{Op: op, Path: filepath.Join(d.path, name), Err: &input.KindError{Mode: e.mode.Type()}}
}

func readLimited(f *os.File, size, limit int64) ([]byte, error) {
	// At once as large as the file seems, so that a large one is not copied while it is read.
	read := bytes.NewBuffer(make([]byte, 0, min(size, limit+1)+bytes.MinRead))
	if _, err := read.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if data := read.Bytes(); int64(len(data)) <= limit {
		return data, nil
	}
	return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: &input.SizeError{Limit: limit}}
}
