// Package durable writes files that survive a crash. A file is complete or does not exist. Its mode and owner are set before its first byte, and when the call returns, it is on
// the disk and not only in the page cache.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/etcdsec/etcdsec/internal/failpoint"
)

// File is one file to write.
type File struct {
	Name string
	Mode fs.FileMode // permission bits; exactly these, whatever the umask
	Data []byte
}

// MakeDir creates a folder, if it is not there, and makes its entry in the parent durable. Its
// mode is 0700, whatever the umask. The parent must exist.
func MakeDir(path string, owner *Owner) error {
	failpoint.Here()
	if err := os.Mkdir(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			info, statErr := os.Stat(path)
			if statErr == nil && info.IsDir() {
				return nil
			}
		}
		return fmt.Errorf("creating folder: %w", err)
	}
	if owner == nil {
		var err error
		if owner, err = folderOwner(filepath.Dir(path)); err != nil {
			return fmt.Errorf("creating folder: %w", err)
		}
	}
	failpoint.Here()
	if err := os.Chmod(path, 0o700); err != nil { //nolint:gosec // a folder needs x; umask 0777 would have left 0000
		return fmt.Errorf("creating folder: %w", err)
	}
	if owner != nil {
		if err := os.Chown(path, owner.UID, owner.GID); err != nil {
			return fmt.Errorf("creating folder: %w", err)
		}
	}
	return SyncDir(filepath.Dir(path))
}

// MakeDirs is MakeDir for the whole path: it creates the missing parents too.
func MakeDirs(path string, owner *Owner) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := MakeDirs(parent, owner); err != nil {
			return err
		}
	}
	return MakeDir(path, owner)
}

// create writes and syncs a new file, which must not exist yet. It does not sync the folder. The
// caller must close the file, which is locked until then.
func create(path string, f File, owner *Owner) (out *os.File, err error) {
	// O_EXCL also refuses to follow a symlink that somebody left at this name.
	failpoint.Here()
	out, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = os.Remove(path) // best effort: the next run removes it too
		}
	}()
	if err := lockTemporary(out); err != nil {
		return nil, err
	}
	if owner != nil {
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
	if err := writeFile(dir, path, f, owner); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return SyncDir(dir)
}

func writeFile(dir, path string, f File, owner *Owner) error {
	if err := removeTemporary(dir, f.Name); err != nil {
		return err
	}
	owner, err := ownerFor(path, owner)
	if err != nil {
		return err
	}
	var tmp string
	var out *os.File
	err = ErrLocked
	// Another process may take a file that is not locked yet for a killed run's, and remove it.
	for try := 0; try < 100 && errors.Is(err, ErrLocked); try++ {
		tmp = filepath.Join(dir, temporaryName(f.Name))
		out, err = create(tmp, f, owner)
	}
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // it is synced; closing it releases its lock
	if err := rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
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

// removeIfThere removes a file, unless it does not exist.
func removeIfThere(path string) error {
	failpoint.Here()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Append adds data to the end of a file of mode 0600 and syncs it. If it cannot write all of
// the data, it cuts the file back to its former size. A new file gets the owner of its folder.
func Append(path string, data []byte) (err error) {
	owner, err := ownerFor(path, nil)
	if err != nil {
		return err
	}
	failpoint.Here()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if owner != nil {
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
		return errors.Join(fmt.Errorf("appending to %s: %w", path, err), f.Truncate(info.Size()))
	}
	if info.Size() == 0 {
		return SyncDir(filepath.Dir(path))
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

// ReadFile reads a regular file of at most limit bytes. It refuses a larger file, a folder, a
// device or a pipe with an error that names the path.
func ReadFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	// At once as large as the file seems, so that a large one is not copied while it is read.
	read := bytes.NewBuffer(make([]byte, 0, min(info.Size(), limit+1)+bytes.MinRead))
	if _, err := read.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	data := read.Bytes()
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d bytes", limit)}
	}
	return data, nil
}

// SyncDir syncs a folder, so that the names in it survive a crash.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	failpoint.Here()
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return fmt.Errorf("syncing folder: %w", err)
	}
	return d.Close()
}

// RemoveAll is os.RemoveAll, for files and folders that no name in use leads to.
func RemoveAll(path string) error {
	failpoint.Here()
	return os.RemoveAll(path)
}

// Truncate cuts a file back to size, in bytes. It does not sync: what it cuts was never released.
func Truncate(path string, size int64) error {
	failpoint.Here()
	return os.Truncate(path, size)
}

func rename(from, to string) error {
	failpoint.Here()
	return os.Rename(from, to)
}

func symlink(target, name string) error {
	failpoint.Here()
	return os.Symlink(target, name)
}
