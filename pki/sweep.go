package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// bundleFolders returns the folders in which bundles are, relative to the store. These include the
// nodes that are no longer in the spec.
func (s *Store) bundleFolders() ([]string, error) {
	folders := []string{authoritiesFolder, clientsFolder}
	nodes, err := os.ReadDir(filepath.Join(s.Dir, nodesFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range nodes {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			folders = append(folders, path.Join(nodesFolder, e.Name()))
		}
	}
	return folders, nil
}

// listHidden returns the hidden entries of a folder of the store; none if there is no folder.
func (s *Store) listHidden(folder string) ([]durable.Hidden, error) {
	found, err := durable.ListHidden(filepath.Join(s.Dir, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return found, err
}

// headless returns the versions of bundles that no symlink leads to, by their paths in the store.
func (s *Store) headless() (paths []string, lost bool, err error) {
	folders, err := s.bundleFolders()
	if err != nil {
		return nil, false, err
	}
	bundles := map[string]bool{}
	for _, folder := range folders {
		found, err := s.listHidden(folder)
		if err != nil {
			return nil, false, err
		}
		for _, h := range found {
			if h.Kind == durable.Headless {
				paths = append(paths, path.Join(folder, h.Name))
				bundles[path.Join(folder, h.Bundle)] = true
				// Whether an encrypted key is whole cannot be seen without what opens it.
				encrypted, err := exists(s.path(folder, h.Name, encryptedKeyName))
				if err != nil {
					return nil, false, err
				}
				lost = lost || h.Version > 1 || encrypted
			}
		}
	}
	return paths, lost || len(bundles) > 1, nil
}

// checkSymlinks refuses a store that has lost the symlinks of its bundles, as a copy without
// symlinks has. Its keys are still there, and a run would replace them. A run that was killed is no
// such case: it leaves at most one bundle, in its first version, without a symlink.
func (s *Store) checkSymlinks() error {
	paths, lost, err := s.headless()
	if err != nil || !lost {
		return err
	}
	return fmt.Errorf("%s: no symlink leads to %s, which hold the files of the store; copy the store again with `cp -a` or `rsync -a`, which keep symlinks, or make them again: %s",
		s.Dir, strings.Join(paths, ", "), s.symlinkCommand(paths[len(paths)-1]))
}

// symlinkCommand returns the command that makes the symlink to a version again.
func (s *Store) symlinkCommand(version string) string {
	dir, name := path.Split(version)
	bundle := strings.TrimPrefix(strings.TrimSuffix(name, path.Ext(name)), ".")
	return fmt.Sprintf("ln -sfn %s %s", shellword.Path(name), shellword.Path(filepath.Join(s.Dir, filepath.FromSlash(dir), bundle)))
}

// relink makes the symlink of a bundle again whose first version no symlink leads to, if that version is
// whole and the ledger has its certificates. Either a run was killed before it made the symlink, or the
// symlink was lost: [Store.sweep] cannot tell, and would remove the keys.
func (s *Store) relink(plan Plan) error {
	versions, lost, err := s.headless()
	if err != nil || lost || len(versions) == 0 { // if more is lost, checkSymlinks refuses the store
		return err
	}
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return nil //nolint:nilerr // the verbs say what is wrong with it
	}
	recorded := map[string]bool{}
	for _, e := range entries {
		recorded[e.CertHash] = recorded[e.CertHash] || e.isCertificate()
	}
	for _, version := range versions {
		at := bundlePath(version + "/.")
		if !s.isWhole(plan, path.Clean(at), version, recorded) {
			continue
		}
		dir, name := filepath.Split(filepath.Join(s.Dir, filepath.FromSlash(path.Clean(at))))
		if err := durable.PointAt(filepath.Clean(dir), name, path.Base(version)); err != nil {
			return fmt.Errorf("making the symlink to %s again: %w", version, err)
		}
	}
	return nil
}

// isWhole reports whether a version of the bundle at a path has all its certificates, their keys and what they
// trust, and the ledger has recorded the certificates.
func (s *Store) isWhole(plan Plan, at, version string, recorded map[string]bool) bool {
	file := func(name string) string { return s.path(version, name) }
	isPair := func(certName, keyName string) bool {
		certs, err := ReadCertificates(file(certName))
		if err != nil || !recorded[certHash(certs[0])] {
			return false
		}
		key, _, err := readKey(file(keyName))
		return err == nil && samePublicKey(key.Public(), certs[0].PublicKey)
	}
	for _, a := range plan.Authorities {
		if a.Path() == at {
			return isPair(caCertName, caKeyName)
		}
	}
	for _, b := range plan.Bundles {
		if b.Path != at {
			continue
		}
		for _, t := range b.Trust {
			if _, err := ReadTrust(file(t.Name)); err != nil {
				return false
			}
		}
		for _, l := range b.Leaves {
			if !isPair(l.CertFile, l.KeyFile) {
				return false
			}
		}
		return len(b.Leaves) > 0
	}
	return false
}

// sweep removes what killed runs left in the store: versions of bundles with old keys, and temporary
// files. It keeps the previous version of each bundle.
func (s *Store) sweep() error {
	if err := s.checkSymlinks(); err != nil {
		return err
	}
	paths, _, err := s.headless()
	if err != nil {
		return err
	}
	var faults []error
	for _, version := range paths { // the killed run's; its keys were never released
		faults = append(faults, durable.RemoveAll(filepath.Join(s.Dir, filepath.FromSlash(version))))
	}
	folders, err := s.bundleFolders()
	faults = append(faults, err)
	for _, folder := range folders {
		if err := durable.SweepBundles(filepath.Join(s.Dir, filepath.FromSlash(folder))); !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	for _, folder := range append(folders, ".", KubernetesDir) {
		if err := durable.RemoveTemporary(filepath.Join(s.Dir, filepath.FromSlash(folder))); !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("removing what a killed run left: %w", err)
	}
	return nil
}
