package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/goodkey"
)

// SpecName is the name of the spec's file in a store.
const SpecName = "cluster.yaml"

// maxPEMSize is the largest file to read from a store. A file of a hundred RSA-4096 certificates has
// 200 KiB.
const maxPEMSize = 1 << 20

// Store is the operator's folder of one cluster. This process holds its lock.
type Store struct {
	Dir string
	// Remote, if not nil, signs leaves instead of the keys in the store.
	Remote *Remote
	// Keys opens the encrypted keys of authorities.
	Keys KeyAccess
	// RootKeys tells how to store the keys of roots.
	RootKeys RootKeys
	release  func()
}

// OpenStore opens the store in dir for a cluster, and locks it until [Store.Close]. It makes the
// folder if there is none. It refuses a folder that holds something else, or another cluster's
// store, with [ErrForeignStore], and one that others than root and the caller control, with a
// [durable.TrustError].
func OpenStore(dir string, c *cluster.Cluster) (*Store, error) {
	if err := checkTrust(dir); err != nil {
		return nil, err
	}
	if err := durable.MakeDirs(dir, durable.Process()); err != nil {
		return nil, err
	}
	s, err := openStore(dir, c)
	if err != nil {
		return nil, err
	}
	if err := s.relink(NewPlan(c)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// PeekStore opens a store for a dry run. Unlike [OpenStore], it makes no folder.
func PeekStore(dir string, c *cluster.Cluster) (*Store, error) {
	if err := checkTrust(dir); err != nil {
		return nil, err
	}
	return InspectStore(dir, c)
}

// InspectStore is [PeekStore] for [Store.Verify]: it opens a store that others control, too.
func InspectStore(dir string, c *cluster.Cluster) (*Store, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return &Store{Dir: dir, release: func() {}}, nil
	}
	return openStore(dir, c)
}

// checkTrust checks that only root and the caller control a store, as far as it is there, and what is above it.
// The folders of nodes and clients may belong to other users: --owner gives them away.
func checkTrust(dir string) error {
	err := durable.CheckTrusted(dir)
	if err == nil {
		err = durable.CheckTree(dir, nodesFolder, clientsFolder)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the store %s: %w", dir, err)
	}
	return nil
}

func openStore(dir string, c *cluster.Cluster) (*Store, error) {
	release, err := durable.Lock(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{Dir: dir, release: release}
	if err := s.checkOwnership(c); err != nil {
		release()
		return nil, err
	}
	return s, nil
}

// Close releases the store's lock.
func (s *Store) Close() { s.release() }

// ErrForeignStore means that a folder holds something other than this cluster's store.
var ErrForeignStore = errors.New("not the store of this cluster")

// ErrSpecChanged means that another run changed the spec of a store after this run had read it.
var ErrSpecChanged = errors.New("another run changed it meanwhile")

// CheckSpec checks a spec again that was read from the file from before the store was locked. It returns
// [ErrSpecChanged] if that is the store's own spec and another run changed it meanwhile: a run with the
// former one would bring it back.
func (s *Store) CheckSpec(c *cluster.Cluster, from string) error {
	own := filepath.Join(s.Dir, SpecName)
	there, ownErr := os.Stat(own)
	given, err := os.Stat(from)
	if filepath.Clean(from) != own && (errors.Join(ownErr, err) != nil || !os.SameFile(there, given)) {
		return nil // it is elsewhere: in a file, or on stdin
	}
	_, equal, err := s.FileState(SpecName, c.YAML)
	if err == nil && !equal {
		err = fmt.Errorf("%s: %w", own, ErrSpecChanged)
	}
	return err
}

func (s *Store) checkOwnership(c *cluster.Cluster) error {
	path := filepath.Join(s.Dir, SpecName)
	issued, err := cluster.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.checkEmpty()
	}
	if err != nil {
		return fmt.Errorf("reading the spec of the store: %w", err)
	}
	if issued.Name != c.Name {
		return fmt.Errorf("%s: %w: it is the store of cluster %q, but the spec is for %q", s.Dir, ErrForeignStore, issued.Name, c.Name)
	}
	if issued.PKI.Layout != c.PKI.Layout {
		return fmt.Errorf("%s: %w: it has layout %q, but the spec wants %q; that would rename the files of running members", s.Dir, ErrForeignStore, issued.PKI.Layout, c.PKI.Layout)
	}
	if issued.PKI.Hierarchy != c.PKI.Hierarchy {
		return fmt.Errorf("%s: %w: it has hierarchy %q, but the spec wants %q; that is another PKI", s.Dir, ErrForeignStore, issued.PKI.Hierarchy, c.PKI.Hierarchy)
	}
	return nil
}

// KubernetesDir is the store's folder for the files of Kubernetes. It may exist before the rest.
const KubernetesDir = "kubernetes"

// checkEmpty refuses to make a new store in a folder that holds something else.
func (s *Store) checkEmpty() error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	if at := slices.IndexFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), ".") && e.Name() != KubernetesDir }); at >= 0 {
		return fmt.Errorf("%s: %w: it has no %s but holds %s", s.Dir, ErrForeignStore, SpecName, entries[at].Name())
	}
	return nil
}

// The files of an authority.
const (
	caCertName = "ca.crt"
	caKeyName  = "ca.key"
	// alsoTrustedName holds the other CAs that the trusted CA files of an imported PKI have.
	alsoTrustedName = "also-trusted.crt"
)

// readAlsoTrusted returns the CAs that are trusted beside an authority of the store in dir.
func readAlsoTrusted(dir string, a Authority) ([]*x509.Certificate, error) {
	certs, err := ReadTrust(filepath.Join(dir, filepath.FromSlash(a.Path()), alsoTrustedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return certs, err
}

// loadAuthorities reads the authorities that were issued. If one cannot be loaded, it leaves out
// everything below it.
func (s *Store) loadAuthorities(plan Plan) (authorities, error) {
	cas := authorities{}
	failed := map[string]bool{}
	var faults []error
	for _, a := range plan.Authorities {
		if failed[a.Issuer] {
			failed[a.Name] = true
			continue
		}
		loaded, err := s.loadCA(a, cas[a.Issuer])
		if err != nil {
			failed[a.Name] = true
			faults = append(faults, err)
			continue
		}
		if loaded != nil {
			cas[a.Name] = loaded
		}
	}
	return cas, errors.Join(faults...)
}

// loadCA reads an authority, or returns nil if it was not issued yet. It verifies the certificate
// against its issuer and its key. The caller must check the dates.
func (s *Store) loadCA(a Authority, issuer *ca) (*ca, error) {
	dir := filepath.Join(s.Dir, filepath.FromSlash(a.Path()))
	certPath, keyPath := filepath.Join(dir, caCertName), filepath.Join(dir, caKeyName)
	certs, err := ReadCertificates(certPath)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(keyPath); err == nil {
			return nil, fmt.Errorf("%s exists without its certificate ca.crt; keys are never overwritten", keyPath)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 {
		return nil, fmt.Errorf("%s: holds %d certificates, want only the authority's own", certPath, len(certs))
	}
	loaded := &ca{Authority: a, cert: certs[0]}
	if loaded.also, err = readAlsoTrusted(s.Dir, a); err != nil {
		return nil, err
	}
	if loaded.key, err = readCAKey(keyPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var issuerCert *x509.Certificate
	if issuer != nil {
		issuerCert = issuer.cert
	}
	var pub crypto.PublicKey
	if loaded.key != nil {
		pub = loaded.key.Public()
	}
	if err := errors.Join(caFaults(loaded.cert, issuerCert, pub)...); err != nil {
		return nil, fmt.Errorf("%s: %w", certPath, err)
	}
	return loaded, nil
}

// leafState holds the certificate and key of a leaf in the store.
type leafState struct {
	chain []*x509.Certificate // nil if it was not issued yet
	key   crypto.Signer       // nil if the key is only on its node
	ban   ban                 // why it must not stay in use, if it must not
}

// describeDue tells, in words, why a leaf is due: it is banned, or ends soon.
func (s leafState) describeDue(now time.Time) string {
	if s.ban.banned() {
		return s.ban.cause
	}
	return describeEnd(earliestEnd(s.chain), now)
}

// weakKey returns why a leaf's key must not be certified again: others know it or can compute it, or no
// peer takes it. It is nil for a good one.
func (s leafState) weakKey() error {
	if s.key != nil {
		return goodkey.Check(s.key.Public())
	}
	return goodkey.Check(s.chain[0].PublicKey)
}

// LacksKey reports whether the error of reading a leaf's key means that the key is not there: there is
// no such file, or the file of both has only the certificate.
func (l Leaf) LacksKey(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || l.CertFile == l.KeyFile && errors.Is(err, errNoKey)
}

func (s *Store) loadLeaf(b Bundle, l Leaf) (leafState, error) {
	dir := filepath.Join(s.Dir, filepath.FromSlash(b.Path))
	keyPath := filepath.Join(dir, filepath.FromSlash(l.KeyFile))
	chain, err := ReadCertificates(filepath.Join(dir, filepath.FromSlash(l.CertFile)))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(keyPath); err == nil {
			return leafState{}, fmt.Errorf("%s exists without its certificate; keys are never overwritten", keyPath)
		}
		return leafState{}, nil
	}
	if err != nil {
		return leafState{}, err
	}
	key, err := ReadKey(keyPath)
	if err != nil && !l.LacksKey(err) {
		return leafState{}, err
	}
	return leafState{chain: chain, key: key}, nil
}

// trustDrift returns the names of a bundle's trust files that have other CAs than the plan's roots.
func (s *Store) trustDrift(b Bundle, roots authorities) ([]string, error) {
	var drifted []string
	for _, t := range b.Trust {
		data, err := durable.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(b.Path), filepath.FromSlash(t.Name)), maxPEMSize)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		root := roots[t.Root]
		if root == nil {
			continue
		}
		if certs, err := ParseTrust(data); err != nil || !sameCertificates(certs, root.trust()) {
			drifted = append(drifted, t.Name)
		}
	}
	return drifted, nil
}

// exists reports whether there is a file. It returns an error if it could not look.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// FileState reports whether a file of the store exists, and whether its content is data.
func (s *Store) FileState(relative string, data []byte) (exists, equal bool, err error) {
	got, err := durable.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(relative)), maxPEMSize)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	return true, bytes.Equal(got, data), nil
}

// WriteFile writes a file without a key, such as a configuration, into the store.
func (s *Store) WriteFile(relative string, f durable.File, owner *durable.Owner) error {
	dir := filepath.Join(s.Dir, filepath.FromSlash(relative))
	if err := durable.MakeDirs(dir, owner); err != nil {
		return err
	}
	return durable.WriteFile(dir, f, owner)
}

// sameCertificates reports whether two lists have the same certificates, in any order.
func sameCertificates(a, b []*x509.Certificate) bool {
	within := func(a, b []*x509.Certificate) bool {
		return !slices.ContainsFunc(a, func(c *x509.Certificate) bool { return !slices.ContainsFunc(b, c.Equal) })
	}
	return within(a, b) && within(b, a)
}

// ReadCertificates reads the certificates of a PEM file, as [ParseCertificates] does.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	return readPEM(path, ParseCertificates)
}

// ReadTrust reads a trusted CA file, as [ParseTrust] does.
func ReadTrust(path string) ([]*x509.Certificate, error) { return readPEM(path, ParseTrust) }

func readPEM(path string, parse func([]byte) ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	data, err := durable.ReadFile(path, maxPEMSize)
	return parseRead(path, data, err, parse)
}

// readGuarded is readPEM for a folder that may belong to another user; see [durable.ReadGuarded].
func readGuarded(path string, parse func([]byte) ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	data, _, err := durable.ReadGuarded(path, maxPEMSize)
	return parseRead(path, data, err, parse)
}

func parseRead(path string, data []byte, err error, parse func([]byte) ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	if err != nil {
		return nil, err
	}
	certs, err := parse(data)
	if err != nil {
		return nil, &FileError{Path: path, Err: err}
	}
	return certs, nil
}
