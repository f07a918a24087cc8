package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// HiddenKind tells what a hidden entry of a folder of bundles is.
type HiddenKind int

// The kinds of hidden entries.
const (
	Foreign  HiddenKind = iota // not of this package
	Current                    // the version that the bundle's name leads to
	Previous                   // the version before it, which is kept
	Leftover                   // what a killed run left: another version, or a temporary name
	// Headless is a version of a bundle that has no name. Either a run was killed before it made the
	// bundle's symlink, or a copy lost the symlink, and this is the only copy of the files.
	Headless
)

// Hidden is a hidden entry of a folder of bundles.
type Hidden struct {
	Name    string // in the folder
	Kind    HiddenKind
	Bundle  string // the name of its bundle; empty if it has none
	Version int    // of its bundle
}

// ListHidden returns the hidden entries of a folder of bundles, in the order of their names.
func ListHidden(dir string) ([]Hidden, error) {
	d, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.listHidden()
}

func (d *folder) listHidden() ([]Hidden, error) {
	entries, err := d.list()
	if err != nil {
		return nil, err
	}
	var found []Hidden
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			continue
		}
		h, err := d.classify(e)
		if err != nil {
			return nil, err
		}
		found = append(found, h)
	}
	return found, nil
}

func (d *folder) classify(e fs.DirEntry) (Hidden, error) {
	h := Hidden{Name: e.Name()}
	if e.Type().IsRegular() && IsTemporary(e.Name()) {
		h.Kind = Leftover
		return h, nil
	}
	bundle, suffix, ok := cutLast(e.Name()[1:])
	if !ok {
		return h, nil
	}
	isLink := suffix == linkSuffix && (e.IsDir() || e.Type()&fs.ModeSymlink != 0)
	version, err := strconv.Atoi(suffix)
	if !isLink && (err != nil || !e.IsDir() || e.Name() != versionName(bundle, version)) {
		return h, nil
	}
	there, err := d.lstat(bundle)
	named := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	current, err := d.bundleVersion(bundle)
	switch {
	case named && (err != nil || current == 0 && !there.mode.IsDir()):
		return h, nil // its name is not a bundle's
	case isLink:
		h.Kind, h.Bundle = Leftover, bundle
		return h, nil
	}
	h.Bundle, h.Version = bundle, version
	if current > 0 {
		if _, err := d.lstat(versionName(bundle, current)); errors.Is(err, fs.ErrNotExist) {
			named = false // its symlink leads nowhere
		} else if err != nil {
			return h, err
		}
	}
	switch {
	case !named:
		h.Kind = Headless
	case current > 0 && version == current:
		h.Kind = Current
	case current > 0 && version == current-1:
		h.Kind = Previous
	default:
		h.Kind = Leftover
	}
	return h, nil
}

// cutLast cuts a name at its last dot.
func cutLast(name string) (before, after string, ok bool) {
	at := strings.LastIndexByte(name, '.')
	if at < 1 {
		return "", "", false
	}
	return name[:at], name[at+1:], true
}

// SweepBundles removes what killed runs left in a folder of bundles. It removes no version of a
// bundle without a name: that can be the only copy of a key. The caller holds the lock.
func SweepBundles(dir string) error {
	d, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer d.close()
	return d.sweepBundle("")
}

// sweepBundle is SweepBundles for one bundle, or for all if name is empty.
func (d *folder) sweepBundle(name string) error {
	found, err := d.listHidden()
	if err != nil {
		return err
	}
	for _, h := range found {
		if h.Kind != Leftover || name != "" && h.Bundle != name {
			continue
		}
		if err := d.removeLeftover(h); err != nil {
			return err
		}
	}
	return nil
}

// removeLeftover removes a leftover. Under the temporary name of a symlink can be the plain folder that the
// symlink replaced; it becomes the previous version.
func (d *folder) removeLeftover(h Hidden) error {
	switch {
	case h.Bundle == "":
		return d.removeUnlocked(h.Name)
	case h.Name == "."+h.Bundle+"."+linkSuffix:
		return d.clearLink(h.Bundle)
	}
	return d.removeAll(h.Name)
}

// checkSymlinkKept refuses a bundle that has lost its symlink. A killed run can leave one version
// without a symlink, the first one, but not a later one.
func (d *folder) checkSymlinkKept(name string) error {
	found, err := d.listHidden()
	if err != nil {
		return err
	}
	if at := slices.IndexFunc(found, func(h Hidden) bool { return h.Bundle == name && h.Kind == Headless && h.Version > 1 }); at >= 0 {
		return fmt.Errorf("its symlink to %s is gone; make it again: a new version would replace keys that are still there", found[at].Name)
	}
	return nil
}

// SweepProjected removes what killed runs left in a folder of [ProjectFiles] in which all files are
// in place. The caller holds the lock.
func SweepProjected(dir string) error {
	d, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer d.close()
	return d.sweepProjected()
}

func (d *folder) sweepProjected() error {
	current, err := d.projectedVersion()
	if err != nil {
		return err
	}
	if current == 0 {
		if err := d.checkDataKept(); err != nil {
			return err
		}
	}
	entries, err := d.list()
	if err != nil {
		return err
	}
	for _, e := range entries {
		version, ok := parseProjected(e.Name())
		if !ok || !e.IsDir() || current > 0 && (version == current || version == current-1) {
			continue
		}
		if err := d.removeAll(e.Name()); err != nil {
			return err
		}
	}
	return d.removeTemporaries(IsTemporary)
}
