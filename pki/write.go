package pki

import (
	"crypto"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// planBundles returns the files of each bundle that changes, by its path. It returns an error if a leaf
// of them does not verify below the trust file beside it.
func (s *Store) planBundles(run *issuance) (map[string][]durable.File, error) {
	bundles := map[string][]durable.File{}
	var faults []error
	for _, b := range run.survey.plan.Bundles {
		files, err := s.nextFiles(b, run)
		faults = append(faults, err)
		if files != nil {
			bundles[b.Path] = files
			faults = append(faults, run.verifyBundle(b, files))
		}
	}
	return bundles, errors.Join(faults...)
}

// verifyBundle verifies the leaves that were signed for a bundle below the trust files that go beside
// them.
func (b *issuance) verifyBundle(bundle Bundle, files []durable.File) error {
	for _, l := range bundle.Leaves {
		issued, signed := b.issued[l.ID]
		if !signed {
			continue
		}
		name := bundle.trustOf(l)
		at := slices.IndexFunc(files, func(f durable.File) bool { return f.Name == name })
		if at < 0 {
			return fmt.Errorf("%s/%s: %s is not beside it", bundle.Path, l.CertFile, name)
		}
		trust, err := ParseTrust(files[at].Data)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", bundle.Path, name, err)
		}
		// The chain was verified up to this root before.
		if slices.ContainsFunc(trust, b.signed[l.Root].cert.Equal) {
			continue
		}
		chain, err := ParseCertificates(issued.certPEM)
		if err != nil {
			return err
		}
		for _, eku := range l.EKUs {
			if err := verifyChainTo(chain, trust, eku, b.config.Now); err != nil {
				return fmt.Errorf("%s/%s would not verify below %s beside it: %w", bundle.Path, l.CertFile, name, err)
			}
		}
	}
	return nil
}

// trustOf returns the name of the file with the root of a leaf.
func (b Bundle) trustOf(l Leaf) string { return b.trustFile(l.Root) }

// write writes what a run signed: authorities, revocation lists and bundles.
func (s *Store) write(run *issuance, bundles map[string][]durable.File) error {
	for _, a := range run.survey.plan.Authorities {
		if _, certified := run.survey.certify[a.Name]; !certified && !run.survey.protect[a.Name] {
			continue
		}
		files, err := s.caFiles(run.signed[a.Name], run.survey.protect[a.Name])
		if err != nil {
			return err
		}
		files = replaceFiles(files, run.newLists(a.Name)...)
		if err := s.swap(a.Path(), files, nil); err != nil {
			return err
		}
	}
	for _, list := range run.survey.lists.all {
		_, written := run.survey.certify[list.Signer]
		if !list.stale || written || run.survey.protect[list.Signer] {
			continue
		}
		at := run.survey.plan.authority(list.Signer).Path()
		files, err := s.filesAt(at)
		if err != nil {
			return err
		}
		if err := s.swap(at, replaceFiles(files, run.newLists(list.Signer)...), nil); err != nil {
			return err
		}
	}
	for _, bundle := range run.survey.plan.Bundles {
		files := bundles[bundle.Path]
		if files == nil {
			continue
		}
		if err := s.swap(bundle.Path, files, run.config.Owner); err != nil {
			return err
		}
	}
	return nil
}

// joinFiles returns the content of a file that holds a leaf's certificate and its key. A key that was
// parsed has such a form, so an error cannot happen; without its key, the file would be no pair.
func (l Leaf) joinFiles(certPEM []byte, key crypto.Signer) []byte {
	keyPEM, err := encodeKey(key)
	if err != nil {
		return certPEM
	}
	return slices.Concat(certPEM, keyPEM)
}

// newLists returns the files of the revocation lists that an authority signed in this run.
func (b *issuance) newLists(signer string) []durable.File {
	var files []durable.File
	for _, list := range b.survey.lists.all {
		if list.stale && list.Signer == signer {
			files = append(files, crlFiles(b.crls[list.Root])...)
		}
	}
	return files
}

// caFiles returns an authority's files. It keeps everything in its folder except ca.crt. protect
// means that it removes a plain key.
func (s *Store) caFiles(c *ca, protect bool) ([]durable.File, error) {
	cert := durable.File{Name: caCertName, Mode: 0o644, Data: encodeCertificates(c.cert)}
	if c.external != nil {
		files, err := s.filesAt(c.Path())
		return replaceFiles(files, cert), err
	}
	var files []durable.File
	if c.keyKept || protect {
		var err error
		if files, err = s.filesAt(c.Path()); err != nil {
			return nil, err
		}
		files = replaceFiles(files, cert)
		if !protect {
			return files, nil
		}
		files = slices.DeleteFunc(files, func(f durable.File) bool {
			return f.Name == caKeyName || f.Name == encryptedKeyName || f.Name == recipientsName
		})
		switch {
		case s.RootKeys.Destroy:
			return files, nil
		case c.key == nil: // only copies are removed
			return s.filesAt(c.Path())
		}
	} else {
		files = append(files, cert)
	}
	keyPEM, err := encodeKey(c.key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key of %s: %w", c.Name, err)
	}
	keep := RootKeys{}
	if c.isRoot() {
		keep = s.RootKeys
	}
	keyFiles, err := keep.files(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("encrypting the key of %s: %w", c.Name, err)
	}
	return append(files, keyFiles...), nil
}

// replaceFiles adds files to others, and replaces those that have the same names.
func replaceFiles(files []durable.File, with ...durable.File) []durable.File {
	for _, f := range with {
		if at := slices.IndexFunc(files, func(g durable.File) bool { return g.Name == f.Name }); at >= 0 {
			files[at] = f
		} else {
			files = append(files, f)
		}
	}
	return files
}

// nextFiles returns a bundle's files with those that were issued for it, or nil if nothing changed.
// A trust file changes only if its root changed: etcd reads it only when it starts.
func (s *Store) nextFiles(bundle Bundle, run *issuance) ([]durable.File, error) {
	var changed []durable.File
	for _, l := range bundle.Leaves {
		issued, ok := run.issued[l.ID]
		if !ok {
			continue
		}
		key := run.survey.leaves[l.ID].state.key
		switch {
		case l.CertFile == l.KeyFile && issued.keyPEM != nil:
			changed = append(changed, durable.File{Name: l.CertFile, Mode: 0o600, Data: slices.Concat(issued.certPEM, issued.keyPEM)})
		case l.CertFile == l.KeyFile && !issued.keyOnNode:
			changed = append(changed, durable.File{Name: l.CertFile, Mode: 0o600, Data: l.joinFiles(issued.certPEM, key)})
		default:
			changed = append(changed, durable.File{Name: l.CertFile, Mode: 0o644, Data: issued.certPEM})
		}
		if l.CertFile != l.KeyFile && issued.keyPEM != nil {
			changed = append(changed, durable.File{Name: l.KeyFile, Mode: 0o600, Data: issued.keyPEM})
		}
	}
	files, err := s.filesAt(bundle.Path)
	if err != nil || files == nil && changed == nil {
		return nil, err
	}
	for _, l := range bundle.Leaves {
		if run.issued[l.ID].keyOnNode {
			// A key that is here belongs to the certificate before; it stays in that version.
			files = slices.DeleteFunc(files, func(f durable.File) bool { return f.Name == l.KeyFile })
		}
	}
	changed = append(changed, crlChanges(bundle, files, run.crls, run.signed)...)
	for _, t := range bundle.Trust {
		there := slices.ContainsFunc(files, func(f durable.File) bool { return f.Name == t.Name })
		_, renewed := run.survey.certify[t.Root]
		if there && !renewed || !there && changed == nil {
			continue
		}
		changed = append(changed, durable.File{Name: t.Name, Mode: 0o644, Data: encodeCertificates(run.signed[t.Root].trust()...)})
	}
	if changed == nil {
		return nil, nil
	}
	return replaceFiles(files, changed...), nil
}

func (s *Store) swap(relative string, files []durable.File, owner *durable.Owner) error {
	dir, name := filepath.Split(filepath.Join(s.Dir, filepath.FromSlash(relative)))
	if err := durable.MakeDirs(filepath.Clean(dir), owner); err != nil {
		return err
	}
	return durable.SwapBundle(filepath.Clean(dir), name, files, owner)
}
