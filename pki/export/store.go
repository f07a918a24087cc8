// Package export writes the certificates and keys of a store in the forms that other programs
// load: Kubernetes Secrets, PKCS #12 files and a tar archive for each node. It only reads the
// store, and writes files of mode 0600 elsewhere. The package prints nothing.
package export

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/pki"
)

// maxFileSize limits how many bytes are read of one file of a store. A file of a hundred RSA-4096
// certificates is 200 KiB.
const maxFileSize = 1 << 20

// Store is the operator's folder of one cluster, open for reading. No other etcdsec can
// change it until Close.
type Store struct {
	Dir     string
	Cluster *cluster.Cluster

	plan        pki.Plan
	held        *pki.Store
	revocations pki.Revocations
}

// Open opens the store in dir, and reads the spec in it.
func Open(dir string) (*Store, error) {
	c, err := cluster.Load(filepath.Join(dir, pki.SpecName))
	if err != nil {
		return nil, fmt.Errorf("reading the spec of the store: %w", err)
	}
	held, err := pki.PeekStore(dir, c)
	if err != nil {
		return nil, err
	}
	revocations, err := pki.ReadRevocations(dir)
	if err != nil {
		held.Close()
		return nil, err
	}
	return &Store{Dir: dir, Cluster: c, plan: pki.NewPlan(c), held: held, revocations: revocations}, nil
}

// Close releases the store's lock.
func (s *Store) Close() { s.held.Close() }

// Ref names a leaf of the store's plan.
type Ref struct {
	Name   string // as in the plan, such as etcd-0/server or clients/backup
	Holder string // the member or client
	Role   string // server, peer, gateway-client, or the role of a client in the spec

	bundle pki.Bundle
	leaf   pki.Leaf
}

// Member reports whether a member holds the leaf, and not a client.
func (r Ref) Member() bool { return r.leaf.ID.Member != "" }

// Path returns the path of the leaf's files in the store, without their suffix.
func (r Ref) Path() string {
	return path.Join(r.bundle.Path, strings.TrimSuffix(r.leaf.CertFile, path.Ext(r.leaf.CertFile)))
}

// Leaves returns all leaves of the plan, in its order.
func (s *Store) Leaves() []Ref {
	var refs []Ref
	for _, b := range s.plan.Bundles {
		for _, l := range b.Leaves {
			refs = append(refs, Ref{Name: l.Name, Holder: cmp.Or(l.ID.Member, l.ID.Client), Role: l.Role, bundle: b, leaf: l})
		}
	}
	return refs
}

// Find returns the leaf with a name, or all leaves of the member or client with that name.
func (s *Store) Find(name string) ([]Ref, error) {
	_, leaves, _ := s.plan.Find(name)
	var found []Ref
	var holders []string
	for _, r := range s.Leaves() {
		if slices.ContainsFunc(leaves, func(l pki.Leaf) bool { return l.ID == r.leaf.ID }) {
			found = append(found, r)
		}
		if !slices.Contains(holders, r.Holder) {
			holders = append(holders, r.Holder)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no leaf, member or client %q in cluster %s; members and clients are %s", name, s.Cluster.Name, summarize(holders))
	}
	return found, nil
}

// summarize lists names for an error, and only the first of many.
func summarize(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// ErrNotIssued means that the store has no certificate for a leaf of its plan.
var ErrNotIssued = errors.New("was not issued yet")

// RevokedError means that a leaf must not come into use anywhere else, because it was revoked.
type RevokedError struct{ Dir, Leaf, Cause string }

func (e *RevokedError) Error() string {
	return fmt.Sprintf("exporting %s: its certificate %s; make a new one first: etcdsec pki renew %s %s", e.Leaf, e.Cause, shellword.Path(e.Dir), shellword.Quote(e.Leaf))
}

// Read reads a leaf, and verifies its key and its chain, up to a root that its holder trusts, at
// the given time. It refuses a leaf that was revoked.
func (s *Store) Read(r Ref, now time.Time) (Leaf, error) {
	certPath := s.pathOf(r.bundle.Path, r.leaf.CertFile)
	l := Leaf{Ref: r, cluster: s.Cluster.Name}
	var err error
	if l.Chain, err = pki.ReadCertificates(certPath); errors.Is(err, fs.ErrNotExist) {
		return Leaf{}, fmt.Errorf("%s %w", r.Name, ErrNotIssued)
	}
	if err != nil {
		return Leaf{}, err
	}
	if l.Key, err = pki.ReadKey(s.pathOf(r.bundle.Path, r.leaf.KeyFile)); err != nil && !r.leaf.LacksKey(err) {
		return Leaf{}, err
	}
	for _, t := range r.bundle.Trust {
		if t.Root != r.leaf.Root {
			continue
		}
		if l.Trust, err = pki.ReadCertificates(s.pathOf(r.bundle.Path, t.Name)); err != nil {
			return Leaf{}, err
		}
	}
	if err := l.verify(r.leaf.EKUs, now); err != nil {
		return Leaf{}, fmt.Errorf("%s: %w", certPath, err)
	}
	if cause := s.revocations.Ban(l.Chain); cause != "" {
		return Leaf{}, &RevokedError{Dir: s.Dir, Leaf: r.Name, Cause: cause}
	}
	return l, nil
}

// nodeDir returns the folder of a member's node, relative to the store, and the bundles in it.
func (s *Store) nodeDir(member string) (dir string, bundles []string) {
	dir = path.Join("nodes", member)
	for _, b := range s.plan.Bundles {
		if strings.HasPrefix(b.Path, dir+"/") {
			bundles = append(bundles, b.Path)
		}
	}
	return dir, bundles
}

func (s *Store) pathOf(parts ...string) string {
	return filepath.Join(s.Dir, filepath.FromSlash(path.Join(parts...)))
}
