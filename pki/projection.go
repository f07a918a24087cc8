package pki

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// filesAt returns the files of a bundle's current version, and nil if there is no bundle. A symlink of the
// operator, such as one to a key on a USB stick, stays one. In a folder of etcd's user it is an error.
func (s *Store) filesAt(relative string) ([]durable.File, error) {
	files, err := durable.ReadFolder(filepath.Join(s.Dir, filepath.FromSlash(relative)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return withoutProjection(files), err
}

// withoutProjection puts plain files in place of the symlinks that "pki install" makes in a node's folder,
// and leaves its versions out. Former releases could install into a store.
func withoutProjection(files []durable.File) []durable.File {
	current := map[string]string{} // the version of each folder
	versions := map[string]durable.File{}
	for _, f := range files {
		if dir, base := path.Split(f.Name); base == durable.DataLink && f.Mode&fs.ModeSymlink != 0 {
			current[dir] = string(f.Data)
		}
		versions[f.Name] = f
	}
	if len(current) == 0 {
		return files
	}
	var plain []durable.File
	for _, f := range files {
		if isProjection(f.Name) {
			continue
		}
		dir, _ := path.Split(f.Name)
		if name, ok := strings.CutPrefix(string(f.Data), durable.DataLink+"/"); ok && f.Mode&fs.ModeSymlink != 0 {
			if real, ok := versions[path.Join(dir, current[dir], name)]; ok {
				f.Mode, f.Data = real.Mode, real.Data
			}
		}
		plain = append(plain, f)
	}
	return plain
}

// isProjection reports whether a path in a bundle is, or is below, one of those that "pki install" makes
// beside the files.
func isProjection(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.HasPrefix(part, "..") })
}
