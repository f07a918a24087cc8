package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/failpoint"
)

// A bundle is a folder of files that belong together, such as a key and its certificate, and that
// change at once. Its name is a symlink to a versioned folder next to it (".pki.3"). One rename of
// that symlink moves readers from the old files to the new ones. One previous version is kept: it is
// what worked before, for a program that does not start with the new files. More would only be old
// keys, so everything older is removed.

// SwapBundle writes files as the next version of the bundle dir/name and makes it the
// current one. It writes the files in the given order; a name may have one folder in front.
// After an error, or a crash at any point, the bundle is still the complete old one.
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
	owner, err = ownerFor(filepath.Join(dir, name), owner)
	if err != nil {
		return err
	}
	if current == 0 {
		if err := checkSymlinkKept(dir, name); err != nil {
			return err
		}
	}
	next := versionName(name, current+1)
	// Only what no symlink points at can be here: a killed run's.
	if err := RemoveAll(filepath.Join(dir, next)); err != nil {
		return err
	}
	if err := writeVersion(filepath.Join(dir, next), files, owner); err != nil {
		_ = RemoveAll(filepath.Join(dir, next))
		return err
	}
	if err := pointAt(dir, name, next, owner); err != nil {
		return err
	}
	if err := SyncDir(dir); err != nil {
		return err
	}
	return sweepBundle(dir, name)
}

// linkSuffix is the suffix of the temporary name of a symlink, which is hidden.
const linkSuffix = "link"

// pointAt makes dir/name a symlink to a version, in one step.
func pointAt(dir, name, version string, owner *Owner) error {
	path, link := filepath.Join(dir, name), filepath.Join(dir, "."+name+"."+linkSuffix)
	if err := clearLink(dir, name, link); err != nil {
		return err
	}
	if err := symlink(version, link); err != nil {
		return err
	}
	if owner != nil {
		if err := os.Lchown(link, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(path); err != nil || !info.IsDir() {
		return rename(link, path)
	}
	// A plain folder, which a copy that follows symlinks left: a symlink cannot be renamed
	// over it, but the two can change places.
	failpoint.Here()
	if err := unix.Renameat2(unix.AT_FDCWD, link, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("changing the plain folder for a symlink: %w; copy stores with `cp -a` or `rsync -a`, which keep symlinks", err)
	}
	return clearLink(dir, name, link)
}

// clearLink frees the temporary name, where a killed run may have left something. It removes a
// symlink, and keeps the plain folder of an exchange as version 0.
func clearLink(dir, name, link string) error {
	if info, err := os.Lstat(link); err != nil || !info.IsDir() {
		return removeIfThere(link)
	}
	previous := filepath.Join(dir, versionName(name, 0))
	if err := RemoveAll(previous); err != nil {
		return err
	}
	return rename(link, previous)
}

// writeVersion writes the files of a version into a new folder and syncs them.
func writeVersion(path string, files []File, owner *Owner) error {
	if err := MakeDir(path, owner); err != nil {
		return err
	}
	var folders []string
	for _, f := range files {
		folder := filepath.Dir(filepath.Join(path, filepath.FromSlash(f.Name)))
		if folder != path && !slices.Contains(folders, folder) {
			if err := MakeDir(folder, owner); err != nil {
				return err
			}
			folders = append(folders, folder)
		}
		out, err := create(filepath.Join(path, filepath.FromSlash(f.Name)), f, owner)
		if err != nil {
			return err
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
	for _, folder := range folders {
		if err := SyncDir(folder); err != nil {
			return err
		}
	}
	return SyncDir(path)
}

// DropPrevious removes the version before the current one, which SwapBundle keeps.
func DropPrevious(dir, name string) error {
	current, err := BundleVersion(dir, name)
	if err != nil || current == 0 {
		return err
	}
	if err := RemoveAll(filepath.Join(dir, versionName(name, current-1))); err != nil {
		return err
	}
	return SyncDir(dir)
}

// versionName returns the name of the folder of a version.
func versionName(name string, version int) string {
	return "." + name + "." + strconv.Itoa(version)
}

// BundleVersion returns the number of the bundle's current version. It is 0 if there is no
// bundle, or only a plain folder, which a copy that follows symlinks leaves behind.
func BundleVersion(dir, name string) (int, error) {
	path := filepath.Join(dir, name)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	target, err := os.Readlink(path)
	if err != nil {
		return 0, fmt.Errorf("%s is neither the symlink of a bundle nor a folder", path)
	}
	number, _ := strings.CutPrefix(target, "."+name+".")
	version, err := strconv.Atoi(number)
	if err != nil || version < 1 || target != versionName(name, version) {
		return 0, fmt.Errorf("%s points to %q, which is not one of its versions", path, target)
	}
	return version, nil
}
