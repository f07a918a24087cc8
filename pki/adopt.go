package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/goodkey"
)

// Adoption holds the files of another tool's PKI that a store takes over: authorities by their
// names in the [Plan], and bundles by their paths. The files are unchanged.
type Adoption struct {
	Authorities map[string]AdoptedCA
	Bundles     map[string][]durable.File // by Bundle.Path; keys 0600
}

// AdoptedCA is an authority's certificate and, if it is known, its key.
type AdoptedCA struct {
	Certificate *x509.Certificate
	KeyPEM      []byte
	// Also are other CAs that those who trust this one trust too.
	Also []*x509.Certificate
}

// Adopt records the adopted certificates in the ledger and writes the files. It keeps what the
// store already has, so the next run finishes a run that was killed. If the store has another
// certificate under the same name, that is an error.
func (s *Store) Adopt(plan Plan, spec []byte, adoption Adoption, now time.Time) error {
	entries, missing, err := s.planAdoption(plan, adoption, now)
	if err != nil {
		return err
	}
	if err := s.keepSpec(spec); err != nil {
		return err
	}
	if err := s.sweep(); err != nil {
		return err
	}
	if err := appendLedger(s.Dir, entries); err != nil {
		return err
	}
	for _, a := range plan.Authorities {
		if adopted, ok := missing.Authorities[a.Name]; ok {
			files, err := s.filesAt(a.Path())
			if err != nil {
				return err
			}
			files = replaceFiles(files, durable.File{Name: caCertName, Mode: 0o644, Data: encodeCertificates(adopted.Certificate)})
			if adopted.KeyPEM != nil {
				files = replaceFiles(files, durable.File{Name: caKeyName, Mode: 0o600, Data: adopted.KeyPEM})
			}
			if adopted.Also != nil {
				files = replaceFiles(files, durable.File{Name: alsoTrustedName, Mode: 0o644, Data: encodeCertificates(adopted.Also...)})
			}
			if err := s.swap(a.Path(), files, nil); err != nil {
				return err
			}
		}
	}
	for _, b := range plan.Bundles {
		if files := missing.Bundles[b.Path]; files != nil {
			if err := s.swap(b.Path, files, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckAdoption returns the error that [Store.Adopt] would return, and writes nothing.
func (s *Store) CheckAdoption(plan Plan, adoption Adoption, now time.Time) error {
	_, _, err := s.planAdoption(plan, adoption, now)
	return err
}

// planAdoption checks everything, and returns the entries and files that the store lacks.
func (s *Store) planAdoption(plan Plan, adoption Adoption, now time.Time) ([]Entry, Adoption, error) {
	a := adopting{
		store: s, plan: plan, now: now, known: map[adoptedCertificate]bool{},
		missing: Adoption{Authorities: map[string]AdoptedCA{}, Bundles: map[string][]durable.File{}},
	}
	if err := s.checkSymlinks(); err != nil {
		return nil, a.missing, err
	}
	if err := s.checkRecords(plan); err != nil {
		return nil, a.missing, err
	}
	there, err := ReadLedger(s.Dir)
	if err != nil {
		return nil, a.missing, err
	}
	for _, e := range there {
		a.known[adoptedCertificate{e.holder(), e.CertHash}] = true
	}
	a.record = recordOf(there)
	known, err := a.authoritiesAfter(adoption)
	if err != nil {
		return nil, a.missing, err
	}
	faults := []error{checkDistinct(plan, known, adoption)}
	for _, authority := range plan.Authorities {
		adopted, ok := adoption.Authorities[authority.Name]
		issuer := known[authority.Issuer]
		switch {
		case !ok:
		case authority.Issuer != "" && issuer == nil:
			faults = append(faults, &MissingIssuerError{Authority: authority.Name, Subject: adopted.Certificate.Subject.String(), Issuer: authority.Issuer, IssuerSubject: adopted.Certificate.Issuer.String()})
		default:
			faults = append(faults, a.addAuthority(authority, adopted, issuer))
		}
	}
	for _, b := range plan.Bundles {
		if files, ok := adoption.Bundles[b.Path]; ok {
			faults = append(faults, a.addBundle(b, files))
		}
	}
	return a.entries, a.missing, errors.Join(faults...)
}

// MissingIssuerError means that neither the adoption nor the store has the CA that signs an adopted one, so
// nobody can tell whether it is the right one.
type MissingIssuerError struct {
	Authority, Subject    string // of the plan, and what its certificate says
	Issuer, IssuerSubject string // likewise
}

func (e *MissingIssuerError) Error() string {
	return fmt.Sprintf("%s, %q, is signed by %s in the plan, which the store does not have yet: give it too, as %s=FILE; the certificate itself names %q as its issuer", e.Authority, e.Subject, e.Issuer, e.Issuer, e.IssuerSubject)
}

// authoritiesAfter returns the certificates that the authorities of the plan have after the adoption.
func (a *adopting) authoritiesAfter(adoption Adoption) (map[string]*x509.Certificate, error) {
	after := map[string]*x509.Certificate{}
	for _, authority := range a.plan.Authorities {
		if adopted, ok := adoption.Authorities[authority.Name]; ok {
			after[authority.Name] = adopted.Certificate
			continue
		}
		there, err := ReadCertificates(a.store.path(authority.Path(), caCertName))
		switch {
		case err == nil:
			after[authority.Name] = there[0]
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return after, nil
}

// checkDistinct refuses one CA as two authorities: as both roots, it would make a peer of every client, and
// as a root and an issuing CA, nobody could replace the one without the other. The members of another tool's
// PKI have what they have, and its weaknesses are reported.
func checkDistinct(plan Plan, certs map[string]*x509.Certificate, adoption Adoption) error {
	if adoption.Bundles != nil {
		return nil
	}
	var faults []error
	for i, a := range plan.Authorities {
		for _, b := range plan.Authorities[:i] {
			mine, other := certs[a.Name], certs[b.Name]
			if mine == nil || other == nil || !samePublicKey(mine.PublicKey, other.PublicKey) {
				continue
			}
			why := "each authority needs a key of its own"
			if a.Issuer == "" && b.Issuer == "" {
				why = fmt.Sprintf("with one CA for both, every client can join as a peer, and the peer port has no RBAC; give two CAs, or set spec.pki.hierarchy: %s in a new store", cluster.Shared)
			}
			faults = append(faults, fmt.Errorf("%s and %s are one CA, %q: %s", b.Name, a.Name, nameOf(mine), why))
		}
	}
	return errors.Join(faults...)
}

// adopting compares an adoption with the store.
type adopting struct {
	store   *Store
	plan    Plan
	now     time.Time
	known   map[adoptedCertificate]bool // those that the ledger has
	record  revocationRecord
	entries []Entry
	missing Adoption
}

// adoptedCertificate is a certificate by its hash, and whose it is in the plan.
type adoptedCertificate struct {
	holder certificateHolder
	hash   string
}

// enter adds a certificate to the ledger. It refuses one that this store revoked, or whose key it
// revoked as compromised, or is not in the one encoding of a key.
func (a *adopting) enter(name, role string, cert *x509.Certificate, keyOnNode bool) error {
	if b := a.record.banOf(cert); b.banned() {
		return fmt.Errorf("adopting %s: its certificate with serial number %s %s", name, SerialString(cert.SerialNumber), b.cause)
	}
	if err := goodkey.CheckEncoding(cert.PublicKey, cert.RawSubjectPublicKeyInfo); err != nil {
		return fmt.Errorf("adopting %s: %w", name, err)
	}
	e := newEntry(name, role, reasonImport, a.plan.SpecHash, cert, a.now)
	if a.known[adoptedCertificate{e.holder(), e.CertHash}] {
		return nil
	}
	e.Event, e.KeyOnNode = EventImport, keyOnNode
	a.entries = append(a.entries, e)
	return nil
}

func (a *adopting) addAuthority(want Authority, adopted AdoptedCA, issuer *x509.Certificate) error {
	path := filepath.Join(a.store.Dir, filepath.FromSlash(want.Path()), caCertName)
	there, err := ReadCertificates(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.missing.Authorities[want.Name] = adopted
	case err != nil:
		return err
	case !there[0].Equal(adopted.Certificate) && !isSelfSigned(there[0]) && bytes.Equal(there[0].RawSubject, adopted.Certificate.RawSubject) && samePublicKey(there[0].PublicKey, adopted.Certificate.PublicKey):
		// The CA above it has renewed it. Its key and the CAs that are trusted beside it stay.
		a.missing.Authorities[want.Name] = adopted
	case !there[0].Equal(adopted.Certificate):
		return fmt.Errorf("%s holds another certificate, %q; adopt into a new folder", path, there[0].Subject.CommonName)
	}
	also, err := readAlsoTrusted(a.store.Dir, want)
	switch {
	case err != nil:
		return err
	case there != nil && adopted.Also != nil && !sameCertificates(also, adopted.Also):
		return fmt.Errorf("%s is trusted beside other CAs than in the folders; adopt into a new folder", path)
	}
	faults := []error{a.enter(want.Name, RoleCA, adopted.Certificate, false)}
	for i, cert := range adopted.Also {
		faults = append(faults, a.enter(alsoTrustedEntry(want, i), RoleCA, cert, false))
	}
	return errors.Join(append(faults, adopted.check(want, issuer))...)
}

func (a *adopting) addBundle(b Bundle, files []durable.File) error {
	leaves, err := adoptedLeaves(b, files)
	if err != nil {
		return err
	}
	var faults []error
	for _, l := range leaves {
		faults = append(faults, a.enter(l.Name, l.Role, l.cert, l.keyOnNode))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	there, err := a.store.filesAt(b.Path)
	switch {
	case err != nil:
		return err
	case there == nil:
		a.missing.Bundles[b.Path] = files
	case !sameFiles(there, files):
		return fmt.Errorf("the store already has %s, with other files", b.Path)
	}
	return nil
}

func (c AdoptedCA) check(a Authority, issuer *x509.Certificate) error {
	var pub crypto.PublicKey
	if c.KeyPEM != nil {
		key, err := ParseKey(c.KeyPEM)
		if err != nil {
			return fmt.Errorf("parsing the key of %s: %w", a.Name, err)
		}
		pub = key.Public()
	}
	if err := errors.Join(caFaults(c.Certificate, issuer, pub)...); err != nil {
		return fmt.Errorf("%s, %q: %w", a.Name, c.Certificate.Subject.CommonName, err)
	}
	return nil
}

type adoptedLeaf struct {
	Leaf
	cert      *x509.Certificate
	keyOnNode bool
}

// adoptedLeaves returns the leaves of a bundle whose certificates are among the files.
func adoptedLeaves(b Bundle, files []durable.File) ([]adoptedLeaf, error) {
	data := map[string][]byte{}
	for _, f := range files {
		data[f.Name] = f.Data
	}
	var leaves []adoptedLeaf
	var faults []error
	for _, l := range b.Leaves {
		certPEM, ok := data[l.CertFile]
		if !ok {
			continue
		}
		chain, err := ParseCertificates(certPEM)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", l.CertFile, err))
			continue
		}
		keyPEM, withKey := data[l.KeyFile]
		key, err := ParseKey(keyPEM)
		if l.CertFile == l.KeyFile && errors.Is(err, errNoKey) {
			withKey = false
		}
		if withKey {
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", l.KeyFile, err))
				continue
			}
			if !samePublicKey(key.Public(), chain[0].PublicKey) {
				faults = append(faults, fmt.Errorf("%s does not belong to %s", l.KeyFile, l.CertFile))
			}
		}
		leaves = append(leaves, adoptedLeaf{l, chain[0], !withKey})
	}
	return leaves, errors.Join(faults...)
}

func sameFiles(a, b []durable.File) bool {
	names := map[string][]byte{}
	for _, f := range a {
		names[f.Name] = f.Data
	}
	for _, f := range b {
		if data, ok := names[f.Name]; !ok || !bytes.Equal(data, f.Data) {
			return false
		}
	}
	return len(a) == len(b)
}

// readForeign reads a file of another tool's folder, which may be that of another user. It returns nil if there
// is none. It does not follow a symlink out of the folder.
func readForeign(dir, name string) ([]byte, durable.Info, error) {
	path := filepath.Join(dir, filepath.FromSlash(name))
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, durable.Info{}, nil
	}
	if err != nil {
		return nil, durable.Info{}, err
	}
	inside, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, durable.Info{}, err
	}
	if relative, err := filepath.Rel(inside, target); err != nil || !filepath.IsLocal(relative) {
		return nil, durable.Info{}, fmt.Errorf("%s is a symlink out of %s, to %s; replace it by a copy of the file", path, dir, target)
	}
	return durable.ReadGuarded(target, maxPEMSize)
}
