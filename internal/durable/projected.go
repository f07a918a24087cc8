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

// A projected folder has the form in which the kubelet stores a Secret's files (its AtomicWriter).
// The folder stays. Its files are symlinks through one symlink "..data" to a versioned folder inside
// it. So a container that mounts the folder sees all files change at once. A container that mounts a
// bundle, whose name is the symlink, keeps the version from its start.
const dataLink = "..data"

// ProjectFiles replaces files in the folder dir, all at once, and leaves every other file in it
// as it is. It keeps the version before; plain files of these names become that version first.
// Names do not contain a folder.
func ProjectFiles(dir string, files []File, owner *Owner) error {
	if err := projectFiles(dir, files, owner); err != nil {
		return fmt.Errorf("installing into %s: %w", dir, err)
	}
	return nil
}

func projectFiles(dir string, files []File, owner *Owner) error {
	owner, err := ownerFor(dir, owner)
	if err != nil {
		return err
	}
	current, err := projectedVersion(dir)
	if err != nil {
		return err
	}
	if current == 0 {
		if err := checkDataKept(dir); err != nil {
			return err
		}
		if current, err = adoptPlainFiles(dir, files, owner); err != nil {
			return err
		}
	}
	next := projectedName(current + 1)
	if err := RemoveAll(filepath.Join(dir, next)); err != nil { // a killed run's
		return err
	}
	carried, err := carryOver(filepath.Join(dir, projectedName(current)), files)
	if err != nil {
		return err
	}
	if err := writeVersion(filepath.Join(dir, next), append(carried, files...), owner); err != nil {
		_ = RemoveAll(filepath.Join(dir, next))
		return err
	}
	// Names that are new point at nothing until the next step.
	if err := linkNames(dir, files, owner); err != nil {
		return err
	}
	if err := replaceLink(dir, dataLink, next, owner); err != nil {
		return err
	}
	if err := SyncDir(dir); err != nil {
		return err
	}
	return SweepProjected(dir)
}

// projectedName returns the name of the folder of a version.
func projectedName(version int) string { return projectedPrefix + strconv.Itoa(version) }

const projectedPrefix = "..v."

// projectedVersion returns the number of the current version, 0 if the folder is not projected
// yet.
func projectedVersion(dir string) (int, error) {
	target, err := os.Readlink(filepath.Join(dir, dataLink))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	number, _ := strings.CutPrefix(target, projectedPrefix)
	version, err := strconv.Atoi(number)
	if err != nil || version < 1 || target != projectedName(version) {
		return 0, fmt.Errorf("its %s points at %q, which this program did not make; give another folder", dataLink, target)
	}
	return version, nil
}

// checkDataKept refuses a folder that has lost its "..data", as a copy without symlinks has: its keys
// are in a version that would be removed. A killed run can leave only the first version without it.
func checkDataKept(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), projectedPrefix)
		if version, err := strconv.Atoi(number); ok && err == nil && version > 1 && e.Name() == projectedName(version) {
			return fmt.Errorf("its symlink %s to %s is gone; make it again", dataLink, e.Name())
		}
	}
	return nil
}

// adoptPlainFiles makes version 1 of the plain files in a folder: each name becomes a symlink
// to the file that it was. So readers never see old files mixed with new ones.
func adoptPlainFiles(dir string, files []File, owner *Owner) (int, error) {
	var plain []File
	for _, f := range files {
		info, err := os.Stat(filepath.Join(dir, f.Name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		const mostBytes = 1 << 20
		data, err := ReadFile(filepath.Join(dir, f.Name), mostBytes)
		if err != nil {
			return 0, err
		}
		plain = append(plain, File{f.Name, info.Mode().Perm(), data})
	}
	first := projectedName(1)
	if err := RemoveAll(filepath.Join(dir, first)); err != nil {
		return 0, err
	}
	if err := writeVersion(filepath.Join(dir, first), plain, owner); err != nil {
		return 0, err
	}
	if err := replaceLink(dir, dataLink, first, owner); err != nil {
		return 0, err
	}
	return 1, linkNames(dir, plain, owner)
}

// carryOver reads the files of a version that the next one does not replace.
func carryOver(dir string, replaced []File) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var kept []File
	for _, e := range entries {
		again := false
		for _, f := range replaced {
			again = again || f.Name == e.Name()
		}
		if again {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		const mostBytes = 1 << 20
		data, err := ReadFile(filepath.Join(dir, e.Name()), mostBytes)
		if err != nil {
			return nil, err
		}
		kept = append(kept, File{e.Name(), info.Mode().Perm(), data})
	}
	return kept, nil
}

// linkNames makes each name a symlink through "..data".
func linkNames(dir string, files []File, owner *Owner) error {
	for _, f := range files {
		target := filepath.Join(dataLink, f.Name)
		if got, err := os.Readlink(filepath.Join(dir, f.Name)); err == nil && got == target {
			continue
		}
		if err := replaceLink(dir, f.Name, target, owner); err != nil {
			return err
		}
	}
	return SyncDir(dir)
}

// replaceLink makes dir/name a symlink to target, and replaces what was there.
func replaceLink(dir, name, target string, owner *Owner) error {
	link := filepath.Join(dir, "."+name+"."+linkSuffix)
	if err := removeIfThere(link); err != nil {
		return err
	}
	if err := symlink(target, link); err != nil {
		return err
	}
	if owner != nil {
		if err := os.Lchown(link, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	return rename(link, filepath.Join(dir, name))
}
