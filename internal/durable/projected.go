package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DataLink is the name of the symlink in a projected folder that leads to its current version. Such a
// folder has the form in which the kubelet stores a Secret's files (its AtomicWriter).
// The folder stays. Its files are symlinks through one symlink "..data" to a versioned folder inside
// it. So a container that mounts the folder sees all files change at once. A container that mounts a
// bundle, whose name is the symlink, keeps the version from its start.
const DataLink = "..data"

// mostBytes is the largest file that the next version of a folder takes over, in bytes.
const mostBytes = 1 << 20

// ProjectFiles replaces files in the folder dir, all at once, and leaves every other file in it
// as it is. It keeps the version before; plain files of these names become that version first.
// Names do not contain a folder.
//
// In the folder of another user it takes over only regular files that belong to that user or to root, and
// that the user may read. The error about anything else is a [TrustError].
func ProjectFiles(dir string, files []File, owner *Owner) error {
	d, err := openFolder(dir)
	if err == nil {
		defer d.close()
		err = d.projectFiles(files, owner)
	}
	if err != nil {
		return fmt.Errorf("installing into %s: %w", dir, err)
	}
	return nil
}

func (d *folder) projectFiles(files []File, owner *Owner) error {
	if owner == nil {
		owner = d.owner.toSet()
	}
	current, err := d.projectedVersion()
	if err != nil {
		return err
	}
	if current == 0 {
		if err := d.checkDataKept(); err != nil {
			return err
		}
		if current, err = d.adoptPlainFiles(files, owner); err != nil {
			return err
		}
	}
	next := projectedName(current + 1)
	if err := d.removeAll(next); err != nil { // a killed run's
		return err
	}
	carried, err := d.carryOver(projectedName(current), files)
	if err != nil {
		return err
	}
	if err := d.writeVersion(next, append(carried, files...), owner); err != nil {
		_ = d.removeAll(next)
		return err
	}
	// Names that are new point at nothing until the next step.
	if err := d.linkNames(files, owner); err != nil {
		return err
	}
	if err := d.replaceLink(DataLink, next, owner); err != nil {
		return err
	}
	if err := d.sync(); err != nil {
		return err
	}
	return d.sweepProjected()
}

// projectedName returns the name of the folder of a version.
func projectedName(version int) string { return projectedPrefix + strconv.Itoa(version) }

const projectedPrefix = "..v."

// projectedVersion returns the number of the current version, 0 if the folder is not projected
// yet.
func (d *folder) projectedVersion() (int, error) {
	target, err := d.readlink(DataLink)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	version, ok := parseProjected(target)
	if !ok {
		return 0, fmt.Errorf("its %s points at %q, which this program did not make; give another folder", DataLink, target)
	}
	return version, nil
}

// parseProjected returns the version whose folder has a name, if it is one.
func parseProjected(name string) (int, bool) {
	number, ok := strings.CutPrefix(name, projectedPrefix)
	version, err := strconv.Atoi(number)
	return version, ok && err == nil && version >= 1 && name == projectedName(version)
}

// checkDataKept refuses a folder that has lost its "..data", as a copy without symlinks has: its keys are in
// a version that would be removed. A killed run can leave only the first version without it, and then no
// file of the folder leads through it.
func (d *folder) checkDataKept() error {
	entries, err := d.list()
	if err != nil {
		return err
	}
	lost := 0
	for _, e := range entries {
		if version, ok := parseProjected(e.Name()); ok && version > 1 {
			lost = max(lost, version)
		}
		if target, err := d.readlink(e.Name()); err == nil && target == filepath.Join(DataLink, e.Name()) && lost == 0 {
			if first, err := d.child(projectedName(1)); err == nil {
				if _, err := first.lstat(e.Name()); err == nil {
					lost = 1
				}
				first.close()
			}
		}
	}
	if lost == 0 {
		return nil
	}
	return fmt.Errorf("its symlink %s to %s is gone, and with it the way to keys that are still there; make it again, in that folder: ln -s %s %s", DataLink, projectedName(lost), projectedName(lost), DataLink)
}

// adoptPlainFiles makes version 1 of the plain files in a folder: each name becomes a symlink
// to the file that it was. So readers never see old files mixed with new ones.
func (d *folder) adoptPlainFiles(files []File, owner *Owner) (int, error) {
	var plain []File
	for _, f := range files {
		if target, err := d.readlink(f.Name); err == nil && target == filepath.Join(DataLink, f.Name) {
			continue // of a run that was killed before it made the first version
		}
		kept, err := d.take(f.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if target := string(kept.Data); kept.Mode&fs.ModeSymlink != 0 && !filepath.IsAbs(target) {
			kept.Data = []byte(filepath.Join("..", target)) // it moves one folder down
		}
		plain = append(plain, kept)
	}
	first := projectedName(1)
	if err := d.removeAll(first); err != nil {
		return 0, err
	}
	if err := d.writeVersion(first, plain, owner); err != nil {
		return 0, err
	}
	if err := d.replaceLink(DataLink, first, owner); err != nil {
		return 0, err
	}
	return 1, d.linkNames(plain, owner)
}

// carryOver reads the files of a version that the next one does not replace.
func (d *folder) carryOver(version string, replaced []File) ([]File, error) {
	from, err := d.child(version)
	if err != nil {
		return nil, err
	}
	defer from.close()
	return from.takeAll(func(name string) bool {
		return slices.ContainsFunc(replaced, func(f File) bool { return f.Name == name })
	})
}

// ReadFolder reads all files of a folder and of those in it, by their slash-separated paths below it, to write
// them again as the next version of a bundle. It follows no symlink. Where only root and this process's user
// can have made one, the result has it with fs.ModeSymlink, and its target as data. Otherwise the
// error is a [TrustError], as about a file that belongs neither to root nor to the folder's owner.
func ReadFolder(dir string) ([]File, error) {
	d, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.readTree("")
}

// readTree is ReadFolder for an open folder. prefix stands before the names.
func (d *folder) readTree(prefix string) ([]File, error) {
	entries, err := d.list()
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		if !e.IsDir() {
			f, err := d.take(e.Name())
			if err != nil {
				return nil, err
			}
			f.Name = prefix + f.Name
			files = append(files, f)
			continue
		}
		below, err := d.readChild(e.Name(), prefix)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, nil
}

func (d *folder) readChild(name, prefix string) ([]File, error) {
	sub, err := d.child(name)
	if err != nil {
		return nil, err
	}
	defer sub.close()
	return sub.readTree(prefix + name + "/")
}

// takeAll reads the files in a folder, for a new version of it, except those that skip names. It refuses a
// folder in it.
func (d *folder) takeAll(skip func(name string) bool) ([]File, error) {
	entries, err := d.list()
	if err != nil {
		return nil, err
	}
	var taken []File
	for _, e := range entries {
		if skip(e.Name()) {
			continue
		}
		f, err := d.take(e.Name())
		if err != nil {
			return nil, err
		}
		taken = append(taken, f)
	}
	return taken, nil
}

// take reads a file for a new version of its folder. A file that holds a key gets mode 0600, whatever it
// had. Where only root and this process's user can have made a symlink, it stays one: what it leads to may be
// kept elsewhere on purpose.
func (d *folder) take(name string) (File, error) {
	there, err := d.lstat(name)
	if err != nil {
		return File{}, err
	}
	if there.mode&fs.ModeSymlink != 0 && d.follows(there) {
		target, err := d.readlink(name)
		return File{name, fs.ModeSymlink, []byte(target)}, err
	}
	data, e, err := d.readFile(name, mostBytes)
	if err != nil {
		return File{}, err
	}
	mode := e.mode.Perm()
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		mode = 0o600
	}
	return File{name, mode, data}, nil
}

// linkNames makes each name a symlink through "..data".
func (d *folder) linkNames(files []File, owner *Owner) error {
	for _, f := range files {
		target := filepath.Join(DataLink, f.Name)
		if got, err := d.readlink(f.Name); err == nil && got == target {
			continue
		}
		if err := d.replaceLink(f.Name, target, owner); err != nil {
			return err
		}
	}
	return d.sync()
}

// replaceLink makes a name a symlink to target, and replaces what was there.
func (d *folder) replaceLink(name, target string, owner *Owner) error {
	link := "." + name + "." + linkSuffix
	if err := d.unlink(link); err != nil {
		return err
	}
	if err := d.symlink(target, link, owner); err != nil {
		return err
	}
	return d.rename(link, name)
}
