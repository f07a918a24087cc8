package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// NoStoreError means that a folder is not a store.
type NoStoreError struct {
	Dir string
	// Nearby are the stores in this folder, beside it and in the working directory.
	Nearby []string

	found fs.FileInfo // what is there instead, or nil
}

func (e *NoStoreError) Error() string {
	switch {
	case e.found == nil:
		return e.Dir + " is not a store: there is no such folder"
	case !e.found.IsDir():
		return e.Dir + " is not a store: it is a file"
	}
	return fmt.Sprintf("%s is not a store: it has neither %s nor %s", e.Dir, ledgerName, authoritiesFolder)
}

// CheckStore returns a [*NoStoreError] if dir is not a store, in which something was issued. A verb that
// needs a store asks this before it opens it: [OpenStore] would make a new one.
func CheckStore(dir string) error {
	found, err := isStore(dir)
	if err != nil || found {
		return err
	}
	there, err := os.Stat(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &NoStoreError{Dir: dir, Nearby: nearbyStores(dir), found: there}
}

// isStore reports whether dir has a ledger or authorities.
func isStore(dir string) (bool, error) {
	for _, name := range []string{ledgerName, authoritiesFolder} {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return false, err
		}
	}
	return false, nil
}

// nearbyStores returns the stores that somebody may have meant who typed dir.
func nearbyStores(dir string) []string {
	var stores []string
	for _, above := range []string{dir, filepath.Dir(dir), "."} {
		entries, err := os.ReadDir(above)
		if err != nil {
			continue
		}
		const most = 1000 // of a folder with more, the first ones
		for _, e := range entries[:min(len(entries), most)] {
			path := filepath.Join(above, e.Name())
			if found, err := isStore(path); err == nil && found && !slices.Contains(stores, path) {
				stores = append(stores, path)
			}
		}
	}
	return stores
}

// InStoreError means that something would be written into a store that does not belong to it. Later runs
// would take it for a part of the store, or could not renew what is there.
type InStoreError struct{ Path, Store string }

func (e *InStoreError) Error() string {
	return fmt.Sprintf("writing into %s: it is in the store %s, which only the verbs that issue and renew may change", e.Path, e.Store)
}

// CheckOutsideStores returns an [*InStoreError] if a path is that of a store, or leads into one. The last
// parts of the path may not exist.
func CheckOutsideStores(path string) error {
	real, err := realPath(path)
	if err != nil {
		return err
	}
	for at := real; ; at = filepath.Dir(at) {
		found, err := isStore(at)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		if found {
			return &InStoreError{Path: path, Store: at}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// realPath returns the absolute path without symlinks. The last parts of the path may not exist.
func realPath(p string) (string, error) {
	existing, err := filepath.Abs(p)
	if err != nil {
		return "", err
	}
	missing := ""
	for {
		resolved, err := filepath.EvalSymlinks(existing)
		if err == nil {
			return filepath.Join(resolved, missing), nil
		}
		if parent := filepath.Dir(existing); !errors.Is(err, os.ErrNotExist) || parent == existing {
			return "", err
		}
		missing = filepath.Join(filepath.Base(existing), missing)
		existing = filepath.Dir(existing)
	}
}
