package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A bundle is a folder of files that belong together, such as a key and its
// certificate, and change as a whole: its name is a symlink to a versioned folder
// beside it (".pki.3"), and one rename of that symlink moves readers from the old files
// to the new ones. The version before is kept for a rollback.

// SwapBundle writes files as the next version of the bundle dir/name and makes it the
// current one. Files are written in the given order. On any error, and on a crash at any
// point, the bundle is the old one, whole.
func SwapBundle(dir, name string, files []File, owner *Owner) error {
	if err := swapBundle(dir, name, files, owner); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(dir, name), err)
	}
	return nil
}

func swapBundle(dir, name string, files []File, owner *Owner) error {
	current, err := BundleVersion(dir, name)
	if err != nil {
		return err
	}
	next := versionName(name, current+1)
	// Only what no symlink points at can be here: a killed run's.
	if err := os.RemoveAll(filepath.Join(dir, next)); err != nil {
		return err
	}
	if err := writeVersion(filepath.Join(dir, next), files, owner); err != nil {
		_ = os.RemoveAll(filepath.Join(dir, next))
		return err
	}
	link := filepath.Join(dir, "."+name+".link")
	if err := removeIfThere(link); err != nil {
		return err
	}
	if err := os.Symlink(next, link); err != nil {
		_ = os.RemoveAll(filepath.Join(dir, next))
		return err
	}
	if owner != nil {
		if err := os.Lchown(link, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	if err := os.Rename(link, filepath.Join(dir, name)); err != nil {
		return err
	}
	if err := SyncDir(dir); err != nil {
		return err
	}
	if current > 1 {
		return os.RemoveAll(filepath.Join(dir, versionName(name, current-1)))
	}
	return nil
}

func writeVersion(path string, files []File, owner *Owner) error {
	if err := MakeDir(path, owner); err != nil {
		return err
	}
	for _, f := range files {
		if err := create(filepath.Join(path, f.Name), f, owner); err != nil {
			return err
		}
	}
	return SyncDir(path)
}

func versionName(name string, version int) string {
	return "." + name + "." + strconv.Itoa(version)
}

// BundleVersion is the number of the bundle's current version, 0 when there is none. A
// plain folder of that name, as a copy that follows symlinks leaves behind, is an error:
// it cannot be swapped at once.
func BundleVersion(dir, name string) (int, error) {
	path := filepath.Join(dir, name)
	target, err := os.Readlink(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s is not the symlink of a bundle; copy stores with `cp -a` or `rsync -a`, which keep symlinks", path)
	}
	version, err := strconv.Atoi(strings.TrimPrefix(target, versionName(name, 0)[:len(name)+2]))
	if err != nil || version < 1 || target != versionName(name, version) {
		return 0, fmt.Errorf("%s points at %q, which is no version of it", path, target)
	}
	return version, nil
}
