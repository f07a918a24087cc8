// Package durable writes files that survive a crash. A file is complete or does not exist. Its mode and owner are set before its first byte, and when the call returns, it is on
// the disk and not only in the page cache.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/etcdsec/etcdsec/internal/failpoint"
	"github.com/etcdsec/etcdsec/internal/input"
)

// File is one file to write.
type File struct {
	Name string
	Mode fs.FileMode // permission bits; exactly these, whatever the umask
	Data []byte
}

// MakeDir creates a folder, if it is not there, and makes its entry in the parent durable. Its
// mode is 0700, whatever the umask. The parent must exist. In the folder of another user, it belongs to
// that user unless owner is somebody else than this process's user.
func MakeDir(path string, owner *Owner) error {
	return makeDirs(path, owner, false)
}

// MakeDirs is MakeDir for the whole path: it creates the missing parents too.
func MakeDirs(path string, owner *Owner) error {
	return makeDirs(path, owner, true)
}

func makeDirs(path string, owner *Owner, parents bool) error {
	create := func(in *folder, name string, last bool) (*folder, error) {
		if !last && !parents {
			return nil, in.fault("open", name, fs.ErrNotExist)
		}
		made, err := in.makeDir(name)
		if errors.Is(err, fs.ErrExist) { // another process was faster
			return in.child(name)
		}
		if err != nil {
			return nil, err
		}
		if err := made.chown(in.folderOwner(owner)); err != nil {
			made.close()
			return nil, err
		}
		if err := in.sync(); err != nil {
			made.close()
			return nil, err
		}
		return made, nil
	}
	d, err := walker{missing: create}.open(path)
	if err != nil {
		return fmt.Errorf("creating folder: %w", err)
	}
	d.close()
	return nil
}

// folderOwner returns the owner that a new folder in this one gets. What another user has had in hand
// cannot become this process's own: it stays that user's.
func (d *folder) folderOwner(given *Owner) *Owner {
	if given == nil || d.rights != nil && isTrustedUser(given.UID) {
		return d.newOwner()
	}
	return given
}

// create writes and syncs a new file, which must not exist yet. It does not sync the folder. The
// caller must close the file, which is locked until then.
func (d *folder) create(name string, f File, owner *Owner) (out *os.File, err error) {
	// O_EXCL also refuses to follow a symlink that somebody left at this name. A file that is not for the
	// owner of the folder is never the owner's, not even before its first byte.
	failpoint.Here()
	out, there, err := d.openFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, d.makerOf(owner))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = d.unlinkAt(name, 0) // best effort: the next run removes it too
		}
	}()
	if err := lockTemporary(out); err != nil {
		return nil, err
	}
	if owner != nil && *owner != there.owner {
		if err := out.Chown(owner.UID, owner.GID); err != nil {
			return nil, err
		}
	}
	failpoint.Here()
	if err := out.Chmod(f.Mode.Perm()); err != nil {
		return nil, err
	}
	if err := write(out, f.Data); err != nil {
		return nil, err
	}
	failpoint.Here()
	return out, out.Sync()
}

// WriteFile replaces dir/f.Name in one step: it writes and syncs a temporary file in dir, renames
// it, and syncs dir. It needs no lock: of two processes that write one name at the same time, the
// last one wins, and readers never see a mixture.
func WriteFile(dir string, f File, owner *Owner) error {
	path := filepath.Join(dir, f.Name)
	d, err := openFolder(dir)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer d.close()
	if err := d.writeFile(f, owner); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return d.sync()
}

func (d *folder) writeFile(f File, owner *Owner) error {
	if err := d.removeTemporary(f.Name); err != nil {
		return err
	}
	owner, err := d.ownerFor(f.Name, owner)
	if err != nil {
		return err
	}
	var tmp string
	var out *os.File
	err = ErrLocked
	// Another process may take a file that is not locked yet for a killed run's, and remove it.
	for try := 0; try < 100 && errors.Is(err, ErrLocked); try++ {
		tmp = temporaryName(f.Name)
		out, err = d.create(tmp, f, owner)
	}
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // it is synced; closing it releases its lock
	if err := d.rename(tmp, f.Name); err != nil {
		_ = d.unlinkAt(tmp, 0)
		return err
	}
	return nil
}

// write writes all of data. The crash tests can kill it half-way too.
func write(f *os.File, data []byte) error {
	if failpoint.Enabled {
		failpoint.Here()
		half := len(data) / 2
		if _, err := f.Write(data[:half]); err != nil {
			return err
		}
		failpoint.Here()
		data = data[half:]
	}
	_, err := f.Write(data)
	return err
}

// Append adds data to the end of a file of mode 0600 and syncs it. If it cannot write all of
// the data, it cuts the file back to its former size. A new file gets the owner of its folder.
func Append(path string, data []byte) (err error) {
	d, err := openFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.close()
	name := filepath.Base(path)
	owner, err := d.ownerFor(name, nil)
	if err != nil {
		return err
	}
	failpoint.Here()
	f, there, err := d.openFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, d.makerOf(owner))
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if !there.mode.IsRegular() {
		return d.irregular("append", name, there)
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if owner != nil && *owner != there.owner {
		if err := f.Chown(owner.UID, owner.GID); err != nil {
			return err
		}
	}
	err = write(f, data)
	if err == nil {
		failpoint.Here()
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("appending to %s: %w", path, err), f.Truncate(there.size))
	}
	if there.size == 0 {
		return d.sync()
	}
	return nil
}

// WriteBelow writes a file by its slash-separated path below dir, and makes the folders on
// the way.
func WriteBelow(dir, name string, mode fs.FileMode, data []byte) error {
	folder := filepath.Join(dir, filepath.FromSlash(path.Dir(name)))
	if err := MakeDirs(folder, nil); err != nil {
		return err
	}
	return WriteFile(folder, File{Name: path.Base(name), Mode: mode, Data: data}, nil)
}

// ReadFile is [input.ReadFile], for the files of a store.
func ReadFile(path string, limit int64) ([]byte, error) { return input.ReadFile(path, limit) }

// Info tells what a file was when it was read.
type Info struct {
	Mode  fs.FileMode // the permission bits
	Owner Owner
}

// ReadGuarded is ReadFile for a file that goes to other people or is relied on, such as a key. In the folder
// of another user it follows no symlink that leaves the folder, and takes only regular files that belong to
// that user or to root, and that the user may read. The error about anything else is a [TrustError].
func ReadGuarded(path string, limit int64) ([]byte, Info, error) {
	return walker{}.read(path, limit)
}

// ReadTrusted is ReadGuarded for a secret of the caller. The file and every folder above it belong to root or to
// this process's user, and nobody else may write there. Otherwise the error is a [TrustError].
func ReadTrusted(path string, limit int64) ([]byte, Info, error) {
	return walker{strict: true}.read(path, limit)
}

func (w walker) read(path string, limit int64) ([]byte, Info, error) {
	d, name, err := w.locate(path)
	if err != nil {
		return nil, Info{}, err
	}
	defer d.close()
	data, e, err := d.readFile(name, limit)
	return data, Info{e.mode.Perm(), e.owner}, err
}

// SyncDir syncs a folder, so that the names in it survive a crash.
func SyncDir(path string) error {
	d, err := openFolder(path)
	if err != nil {
		return err
	}
	defer d.close()
	return d.sync()
}

// RemoveAll is os.RemoveAll, for files and folders that no name in use leads to.
func RemoveAll(path string) error {
	d, err := openFolder(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	return d.removeAll(filepath.Base(path))
}

// Truncate cuts a file back to size, in bytes. It does not sync: what it cuts was never released.
func Truncate(path string, size int64) error {
	d, err := openFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.close()
	f, there, err := d.openFile(filepath.Base(path), os.O_WRONLY, d.rights)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is not synced either
	if !there.mode.IsRegular() {
		return d.irregular("truncate", filepath.Base(path), there)
	}
	failpoint.Here()
	return f.Truncate(size)
}
