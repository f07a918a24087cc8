package export

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// Node holds the files of a member's node.
type Node struct {
	Member  string
	Keyless []string // the member's leaves whose key is not in the store

	entries []entry
	issued  time.Time // when the newest leaf began to be valid
}

// entry is a file or folder of a node. Paths are relative to the node's folder.
type entry struct {
	path   string
	mode   fs.FileMode
	folder bool
	data   []byte
}

// Node reads everything in the folder of a member's node: the certificates and keys, which it
// verifies, and the configurations next to them.
func (s *Store) Node(member string, now time.Time) (Node, error) {
	n := Node{Member: member}
	for _, r := range s.Leaves() {
		if r.Holder != member || !r.Member() {
			continue
		}
		l, err := s.Read(r, now)
		if err != nil {
			return Node{}, err
		}
		if l.Key == nil {
			n.Keyless = append(n.Keyless, r.Name)
		}
		if begin := l.Cert().NotBefore; begin.After(n.issued) {
			n.issued = begin
		}
	}
	for _, b := range s.plan.Bundles {
		if len(b.Leaves) > 0 && b.Leaves[0].ID.Member == member {
			if err := b.CheckLists(s.pathOf(b.Path)); err != nil {
				return Node{}, err
			}
		}
	}
	dir, bundles := s.nodeDir(member)
	w := walk{root: s.pathOf(dir)}
	for _, b := range bundles {
		w.bundles = append(w.bundles, strings.TrimPrefix(b, dir+"/"))
	}
	if err := w.addFolder("."); err != nil {
		return Node{}, err
	}
	n.entries = w.entries
	return n, nil
}

// walk collects the files of a node in the order of their names.
type walk struct {
	root    string
	bundles []string
	entries []entry
}

func (w *walk) addFolder(relative string) error {
	listing, err := os.ReadDir(filepath.Join(w.root, filepath.FromSlash(relative)))
	if err != nil {
		return err
	}
	for _, e := range listing {
		// The versions of a bundle, and what a killed run left.
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := w.addEntry(path.Join(relative, e.Name()), e.Type()); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) addEntry(relative string, kind fs.FileMode) error {
	file := filepath.Join(w.root, filepath.FromSlash(relative))
	switch {
	case kind.IsRegular():
		return w.addFile(relative, file)
	case kind.IsDir():
	case kind&fs.ModeSymlink != 0 && slices.Contains(w.bundles, relative):
		// A bundle's symlink, which never leads out of the store, is a folder on the node.
		if _, err := durable.BundleVersion(filepath.Split(file)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s is neither a file nor a folder; remove it from the store", file)
	}
	w.entries = append(w.entries, entry{path: relative, mode: 0o700, folder: true})
	return w.addFolder(relative)
}

// addFile adds a file with the mode that it must have on a node, whatever mode a copy of the store has.
func (w *walk) addFile(relative, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	data, err := durable.ReadFile(file, maxFileSize)
	if err != nil {
		return err
	}
	e := entry{path: relative, mode: 0o644, data: data}
	if info.Mode().Perm()&0o077 == 0 || bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		e.mode = 0o600
	}
	w.entries = append(w.entries, e)
	return nil
}

// Tar returns the archive of a node. It has real files in place of the store's symlinks, with
// their required modes. Their owner is the given user, or root. All times are the NotBefore of the
// newest certificate, so that equal nodes give equal bytes.
func (n Node) Tar(owner *durable.Owner) ([]byte, error) {
	if owner == nil {
		owner = &durable.Owner{}
	}
	if len(n.entries) == 0 {
		return nil, errors.New("the node has no files")
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range n.entries {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: e.path, Mode: int64(e.mode.Perm()), Size: int64(len(e.data)),
			Uid: owner.UID, Gid: owner.GID, ModTime: n.issued,
		}
		if e.folder {
			header.Typeflag, header.Name = tar.TypeDir, e.path+"/"
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", e.path, err)
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", e.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving %s: %w", n.Member, err)
	}
	return b.Bytes(), nil
}
