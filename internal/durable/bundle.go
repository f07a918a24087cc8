package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// A bundle is a folder of files that belong together, such as a key and its certificate, and that
// change at once. Its name is a symlink to a versioned folder next to it (".pki.3"). One rename of
// that symlink moves readers from the old files to the new ones. One previous version is kept: it is
// what worked before, for a program that does not start with the new files. More would only be old
// keys, so everything older is removed.

// SwapBundle writes files as the next version of the bundle dir/name and makes it the
// current one. It writes the files in the given order; a name may have one folder in front. A file
// whose mode is fs.ModeSymlink becomes a symlink to its data.
// After an error, or a crash at any point, the bundle is still the complete old one.
func SwapBundle(dir, name string, files []File, owner *Owner) error {
	d, err := openFolder(dir)
	if err == nil {
		defer d.close()
		err = d.swapBundle(name, files, owner)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(dir, name), err)
	}
	return nil
}

func (d *folder) swapBundle(name string, files []File, owner *Owner) error {
	current, err := d.bundleVersion(name)
	if err != nil {
		return err
	}
	there := name
	if current > 0 {
		there = versionName(name, current)
	}
	owner, err = d.ownerFor(there, owner)
	if err != nil {
		return err
	}
	if current == 0 {
		if err := d.checkSymlinkKept(name); err != nil {
			return err
		}
	}
	next := versionName(name, current+1)
	// Only what no symlink points at can be here: a killed run's.
	if err := d.removeAll(next); err != nil {
		return err
	}
	if err := d.writeVersion(next, files, owner); err != nil {
		_ = d.removeAll(next)
		return err
	}
	if err := d.pointAt(name, next, owner); err != nil {
		return err
	}
	if err := d.sync(); err != nil {
		return err
	}
	return d.sweepBundle(name)
}

// PointAt makes the symlink of the bundle dir/name to one of its versions, whose folder has the name version.
func PointAt(dir, name, version string) error {
	d, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer d.close()
	owner, err := d.ownerFor(version, nil)
	if err != nil {
		return err
	}
	if err := d.pointAt(name, version, owner); err != nil {
		return err
	}
	return d.sync()
}

// linkSuffix is the suffix of the temporary name of a symlink, which is hidden.
const linkSuffix = "link"

// pointAt makes a bundle's name a symlink to a version, in one step.
func (d *folder) pointAt(name, version string, owner *Owner) error {
	link := "." + name + "." + linkSuffix
	if err := d.clearLink(name); err != nil {
		return err
	}
	if err := d.symlink(version, link, owner); err != nil {
		return err
	}
	if there, err := d.lstat(name); err != nil || !there.mode.IsDir() {
		return d.rename(link, name)
	}
	// A plain folder, which a copy that follows symlinks left: a symlink cannot be renamed
	// over it, but the two can change places.
	if err := d.exchange(link, name); err != nil {
		return fmt.Errorf("changing the plain folder for a symlink: %w; copy stores with `cp -a` or `rsync -a`, which keep symlinks", err)
	}
	return d.clearLink(name)
}

// clearLink frees the temporary name of a bundle's symlink, where a killed run may have left something. It
// removes a symlink, and keeps the plain folder of an exchange as version 0.
func (d *folder) clearLink(name string) error {
	link := "." + name + "." + linkSuffix
	if there, err := d.lstat(link); err != nil || !there.mode.IsDir() {
		return d.unlink(link)
	}
	previous := versionName(name, 0)
	if err := d.removeAll(previous); err != nil {
		return err
	}
	return d.rename(link, previous)
}

// writeVersion writes the files of a version into a new folder and syncs them. The folder gets its owner
// last, when nothing more is written below it.
func (d *folder) writeVersion(name string, files []File, owner *Owner) error {
	version, err := d.makeDir(name)
	if err != nil {
		return fmt.Errorf("creating folder: %w", err)
	}
	defer version.close()
	folders := map[string]*folder{".": version}
	var order []*folder
	for _, f := range files {
		in, base := path.Split(f.Name)
		in = path.Clean(in)
		if folders[in] == nil {
			made, err := version.makeDir(filepath.FromSlash(in))
			if err != nil {
				return fmt.Errorf("creating folder: %w", err)
			}
			defer made.close()
			folders[in], order = made, append(order, made)
		}
		f.Name = base
		if err := folders[in].add(f, owner); err != nil {
			return err
		}
	}
	for _, made := range append(order, version) {
		if err := made.sync(); err != nil {
			return err
		}
		if err := made.chown(owner); err != nil {
			return err
		}
	}
	return d.sync()
}

// add writes a new file or symlink.
func (d *folder) add(f File, owner *Owner) error {
	if f.Mode&fs.ModeSymlink != 0 {
		return d.symlink(string(f.Data), f.Name, owner)
	}
	out, err := d.create(f.Name, f, owner)
	if err != nil {
		return err
	}
	return out.Close()
}

// DropPrevious removes the version before the current one, which SwapBundle keeps.
func DropPrevious(dir, name string) error {
	d, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	current, err := d.bundleVersion(name)
	if err != nil || current == 0 {
		return err
	}
	if err := d.removeAll(versionName(name, current-1)); err != nil {
		return err
	}
	return d.sync()
}

// versionName returns the name of the folder of a version.
func versionName(name string, version int) string {
	return "." + name + "." + strconv.Itoa(version)
}

// BundleVersion returns the number of the bundle's current version. It is 0 if there is no
// bundle, or only a plain folder, which a copy that follows symlinks leaves behind.
func BundleVersion(dir, name string) (int, error) {
	d, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer d.close()
	return d.bundleVersion(name)
}

func (d *folder) bundleVersion(name string) (int, error) {
	there, err := d.lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && there.mode.IsDir() {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	at := filepath.Join(d.path, name)
	target, err := d.readlink(name)
	if err != nil {
		return 0, fmt.Errorf("%s is neither the symlink of a bundle nor a folder", at)
	}
	number, _ := strings.CutPrefix(target, "."+name+".")
	version, err := strconv.Atoi(number)
	if err != nil || version < 1 || target != versionName(name, version) {
		return 0, fmt.Errorf("%s points to %q, which is not one of its versions", at, target)
	}
	return version, nil
}
