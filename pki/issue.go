package pki

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki/internal/cfsslca"
)

// IssueConfig is how to issue.
type IssueConfig struct {
	Now time.Time
	// Owner is given the bundles of nodes and clients; authorities stay the operator's.
	Owner *durable.Owner
	// Progress, when not nil, is called after each certificate, from several goroutines.
	Progress func(done, total int)
}

// Issue makes every key and certificate that is missing, verifies each, enters all of them
// in the ledger and only then writes them: authorities first, each bundle at once. When
// it fails or is killed, the store holds only whole bundles, and the next Survey and
// Issue finish the work.
func (s *Store) Issue(ctx context.Context, w *Work, spec []byte, config IssueConfig) error {
	if err := s.keepSpec(spec); err != nil {
		return err
	}
	if w.Nothing() {
		return nil
	}
	batch := &batch{plan: w.plan, config: config, total: w.count()}
	changed, err := batch.authorities(w)
	if err != nil {
		return err
	}
	if err := batch.leaves(ctx, w); err != nil {
		return err
	}
	if err := appendLedger(s.Dir, batch.entries(w, changed)); err != nil {
		return err
	}
	return s.write(batch, w, changed)
}

// keepSpec writes the spec first, so that a store which a killed run left is known for whose it is.
func (s *Store) keepSpec(spec []byte) error {
	if _, equal, err := s.FileState(SpecName, spec); err != nil || equal {
		return err
	}
	return durable.WriteFile(s.Dir, durable.File{Name: SpecName, Mode: 0o600, Data: spec}, nil)
}

// batch is what one run issues, in memory.
type batch struct {
	plan   Plan
	config IssueConfig

	mu     sync.Mutex
	done   int
	total  int
	issued map[string]issuedLeaf
}

type issuedLeaf struct {
	cert            *x509.Certificate
	certPEM, keyPEM []byte
}

func (b *batch) advance() {
	b.mu.Lock()
	b.done++
	done := b.done
	b.mu.Unlock()
	if b.config.Progress != nil {
		b.config.Progress(done, b.total)
	}
}

// authorities makes the missing authorities and returns the names of those that changed.
func (b *batch) authorities(w *Work) (map[string]string, error) {
	changed := map[string]string{}
	for _, a := range b.plan.Authorities {
		self := w.cas[a.Name]
		if self != nil && !w.extend[a.Name] {
			continue
		}
		changed[a.Name] = "names changed"
		if self == nil {
			key, err := generateKey(b.plan.KeyAlgorithm)
			if err != nil {
				return nil, fmt.Errorf("making the key of %s: %w", a.Name, err)
			}
			self = &ca{Authority: a, key: key}
			changed[a.Name] = "new"
		}
		var pub crypto.PublicKey
		if self.key != nil {
			pub = self.key.Public()
		} else {
			pub = self.cert.PublicKey
		}
		signer := self
		if a.Issuer != "" {
			signer = w.cas[a.Issuer]
		}
		cert, err := certifyCA(b.plan.Cluster, a, pub, signer, b.config.Now)
		if err != nil {
			return nil, err
		}
		w.cas[a.Name] = &ca{Authority: a, cert: cert, key: self.key}
		b.advance()
	}
	return changed, nil
}

// leaves issues on every core: an RSA key takes a second to find.
func (b *batch) leaves(ctx context.Context, w *Work) error {
	signers := map[string]*cfsslca.Signer{}
	var todo []Leaf
	for _, bundle := range b.plan.Bundles {
		for _, l := range bundle.Leaves {
			if !w.issue[l.Name] {
				continue
			}
			todo = append(todo, l)
			if signers[l.Issuer] == nil {
				signer, err := cfsslca.New(w.cas[l.Issuer].cert, w.cas[l.Issuer].key)
				if err != nil {
					return err
				}
				signers[l.Issuer] = signer
			}
		}
	}
	issued := make([]issuedLeaf, len(todo))
	err := parallel(ctx, len(todo), func(i int) error {
		var err error
		issued[i], err = b.leaf(todo[i], w, signers[todo[i].Issuer])
		b.advance()
		return err
	})
	b.issued = map[string]issuedLeaf{}
	for i, l := range todo {
		b.issued[l.Name] = issued[i]
	}
	return err
}

// parallel calls do for 0..n-1 on every core and joins the errors in that order.
func parallel(ctx context.Context, n int, do func(i int) error) error {
	errs := make([]error, n)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// leaf makes one key and certificate and verifies it with crypto/x509 before anyone sees it.
func (b *batch) leaf(l Leaf, w *Work, signer *cfsslca.Signer) (issuedLeaf, error) {
	issuer := w.cas[l.Issuer]
	notBefore, notAfter, err := leafLifetime(issuer.cert, b.plan.LeafLifetime, b.config.Now)
	if err != nil {
		return issuedLeaf{}, fmt.Errorf("issuing %s: %w", l.Name, err)
	}
	key, err := generateKey(b.plan.KeyAlgorithm)
	if err != nil {
		return issuedLeaf{}, fmt.Errorf("making the key of %s: %w", l.Name, err)
	}
	cert, err := signLeaf(l, key, signer, notBefore, notAfter)
	if err != nil {
		return issuedLeaf{}, fmt.Errorf("issuing %s: %w", l.Name, err)
	}
	chain := []*x509.Certificate{cert}
	if l.Issuer != l.Root {
		chain = append(chain, issuer.cert)
	}
	if err := verifyLeaf(l, chain, w.cas[l.Root].cert, key.Public(), b.config.Now); err != nil {
		return issuedLeaf{}, fmt.Errorf("verifying %s before its release: %w", l.Name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return issuedLeaf{}, fmt.Errorf("encoding the key of %s: %w", l.Name, err)
	}
	return issuedLeaf{cert: cert, certPEM: encodeCertificates(chain...), keyPEM: keyPEM}, nil
}

func signLeaf(l Leaf, key crypto.Signer, signer *cfsslca.Signer, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	return signer.Sign(cfsslca.Request{
		CSR: csr, Serial: serial, CommonName: l.CommonName,
		IPs: l.Names.IPs, DNS: l.Names.DNS, EKUs: l.EKUs,
		NotBefore: notBefore, NotAfter: notAfter,
	})
}

// ErrIssuerEnds means that an issuer has too little of its lifetime left to sign leaves.
var ErrIssuerEnds = errors.New("its issuer ends too soon")

// leafLifetime keeps a leaf within its issuer's lifetime, and refuses one that would be
// due for renewal as soon as it is issued: with less than a third of what was asked for.
func leafLifetime(issuer *x509.Certificate, lifetime time.Duration, now time.Time) (notBefore, notAfter time.Time, err error) {
	notBefore = later(now.Add(-backdate), issuer.NotBefore)
	notAfter = earlier(now.Add(lifetime), issuer.NotAfter)
	if notAfter.Sub(now) < lifetime/3 {
		return notBefore, notAfter, fmt.Errorf("%w: %q is valid until %s, and a leaf wants at least a third of %s; rotate the issuer first",
			ErrIssuerEnds, issuer.Subject.CommonName, issuer.NotAfter.Format(time.RFC3339), lifetime)
	}
	return notBefore, notAfter, nil
}

// entries are the batch's ledger lines, in plan order.
func (b *batch) entries(w *Work, changed map[string]string) []Entry {
	var entries []Entry
	for _, a := range b.plan.Authorities {
		if reason := changed[a.Name]; reason != "" {
			entries = append(entries, newEntry(a.Name, "ca", reason, b.plan.SpecHash, w.cas[a.Name].cert, b.config.Now))
		}
	}
	for _, bundle := range b.plan.Bundles {
		for _, l := range bundle.Leaves {
			if issued, ok := b.issued[l.Name]; ok {
				entries = append(entries, newEntry(l.Name, l.Role, "new", b.plan.SpecHash, issued.cert, b.config.Now))
			}
		}
	}
	return entries
}

// write brings the batch to the disk.
func (s *Store) write(b *batch, w *Work, changed map[string]string) error {
	for _, a := range b.plan.Authorities {
		if changed[a.Name] == "" {
			continue
		}
		files, err := caFiles(w.cas[a.Name])
		if err != nil {
			return err
		}
		if err := s.swap(a.Path(), files, nil); err != nil {
			return err
		}
	}
	for _, bundle := range b.plan.Bundles {
		files, err := s.nextFiles(bundle, b, w)
		if err != nil {
			return err
		}
		if files == nil {
			continue
		}
		if err := s.swap(bundle.Path, files, b.config.Owner); err != nil {
			return err
		}
	}
	return nil
}

func caFiles(c *ca) ([]durable.File, error) {
	files := []durable.File{{Name: "ca.crt", Mode: 0o644, Data: encodeCertificates(c.cert)}}
	if c.key == nil {
		return files, nil
	}
	keyPEM, err := encodeKey(c.key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key of %s: %w", c.Name, err)
	}
	return append(files, durable.File{Name: "ca.key", Mode: 0o600, Data: keyPEM}), nil
}

// nextFiles are a bundle's files with what was issued for it, or nil when that is nothing.
func (s *Store) nextFiles(bundle Bundle, b *batch, w *Work) ([]durable.File, error) {
	var added []durable.File
	for _, l := range bundle.Leaves {
		if issued, ok := b.issued[l.Name]; ok {
			added = append(added,
				durable.File{Name: l.Base + ".crt", Mode: 0o644, Data: issued.certPEM},
				durable.File{Name: l.Base + ".key", Mode: 0o600, Data: issued.keyPEM})
		}
	}
	if added == nil {
		return nil, nil
	}
	files, err := s.bundleFiles(bundle)
	if err != nil {
		return nil, err
	}
	if files == nil {
		for _, t := range bundle.Trust {
			files = append(files, durable.File{Name: t.Name, Mode: 0o644, Data: encodeCertificates(w.cas[t.Root].cert)})
		}
	}
	return append(files, added...), nil
}

func (s *Store) swap(relative string, files []durable.File, owner *durable.Owner) error {
	dir, name := filepath.Split(filepath.Join(s.Dir, filepath.FromSlash(relative)))
	if err := durable.MakeDirs(filepath.Clean(dir), owner); err != nil {
		return err
	}
	return durable.SwapBundle(filepath.Clean(dir), name, files, owner)
}
