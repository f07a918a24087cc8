package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// issuance is one run of [Store.Issue]. It signs what a survey asks for, in memory.
type issuance struct {
	survey     *Survey
	config     IssueConfig
	supervisor []string // of the programs that hold keys
	remote     *Remote  // signs the leaves instead of the store's keys; nil if the keys sign

	signed authorities // those of the store, and those that this run certified
	issued map[LeafID]issuedLeaf
	crls   crls // those of the store, and those that this run signed

	mu   sync.Mutex
	done int
}

// issuedLeaf is a leaf that this run signed.
type issuedLeaf struct {
	cert    *x509.Certificate
	certPEM []byte // with the CAs behind it
	keyPEM  []byte // nil if the key does not change
	// keyOnNode means that the key is not in the store.
	keyOnNode bool
}

func newIssuance(w *Survey, config IssueConfig, s *Store) *issuance {
	return &issuance{survey: w, config: config, remote: s.Remote, supervisor: s.Keys.Supervisor, signed: maps.Clone(w.cas), issued: map[LeafID]issuedLeaf{}, crls: w.lists.listsOnDisk()}
}

// advance reports one more signature to the progress function.
func (b *issuance) advance() {
	b.mu.Lock()
	b.done++
	done := b.done
	b.mu.Unlock()
	if b.config.Progress != nil {
		b.config.Progress(done, b.survey.count())
	}
}

// signAuthorities certifies the authorities that need it, each issuer before what it issues.
func (b *issuance) signAuthorities(ctx context.Context) error {
	for _, a := range b.survey.plan.Authorities {
		if _, certified := b.survey.certify[a.Name]; !certified {
			continue
		}
		self := b.signed[a.Name]
		if self == nil || b.survey.replaced[a.Name] && a.external == nil {
			key, err := newAuthorityKey(ctx, a, b.survey.plan.KeyAlgorithm, b.supervisor)
			if err != nil {
				return fmt.Errorf("making the key of %s: %w", a.Name, err)
			}
			self = &ca{Authority: a, key: key}
		}
		if err := b.survey.record.checkKey(self.publicKey()); err != nil {
			return fmt.Errorf("certifying %s: %w", a.Name, err)
		}
		signer := self
		if a.Issuer != "" {
			signer = b.signed[a.Issuer]
		}
		cert, err := certifyCA(b.survey.plan.Cluster, self, signer, b.config.Now)
		if err != nil {
			return err
		}
		b.signed[a.Name] = &ca{Authority: a, cert: cert, key: self.key, also: self.also, keyKept: self.cert != nil}
		b.advance()
	}
	return nil
}

// newAuthorityKey makes the key of a new authority, or returns the key that a program holds for it.
func newAuthorityKey(ctx context.Context, a Authority, algorithm cluster.KeyAlgorithm, supervisor []string) (crypto.Signer, error) {
	if a.external != nil {
		return a.externalSigner(ctx, nil, supervisor)
	}
	return generateKey(algorithm)
}

// signLeaves signs the leaves on every core: making an RSA key takes a second.
func (b *issuance) signLeaves(ctx context.Context) error {
	signers := map[string]*leafSigner{}
	var todo []Leaf
	for l := range b.survey.plan.leaves() {
		if _, signed := b.survey.leaves[l.ID]; !signed {
			continue
		}
		todo = append(todo, l)
		if signers[l.Issuer] == nil {
			signer, err := b.newSigner(l)
			if err != nil {
				return err
			}
			signers[l.Issuer] = signer
		}
	}
	issued := make([]issuedLeaf, len(todo))
	err := parallel(ctx, len(todo), func(i int) error {
		var err error
		issued[i], err = b.signLeaf(ctx, todo[i], b.survey.leaves[todo[i].ID], signers[todo[i].Issuer])
		b.advance()
		return err
	})
	for i, l := range todo {
		b.issued[l.ID] = issued[i]
	}
	return err
}

// parallel calls do for 0..n-1 on every core, and joins the errors in that order.
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

// signLeaf signs one leaf, and verifies it with crypto/x509 before it is written.
func (b *issuance) signLeaf(ctx context.Context, l Leaf, work leafWork, signer *leafSigner) (issuedLeaf, error) {
	issuer := b.signed[l.Issuer]
	notBefore, notAfter, err := leafLifetime(issuer.cert, b.survey.plan.LeafLifetime, b.config.Now)
	if err != nil {
		return issuedLeaf{}, fmt.Errorf("issuing %s: %w", l.Name, err)
	}
	var issued issuedLeaf
	subject := subject{key: work.state.key}
	switch {
	case work.csr != nil:
		subject.key, subject.pub, subject.csr = nil, work.csr.PublicKey, work.csr.Raw
		issued.keyOnNode = true
	case work.newKey:
		if subject.key, err = generateKey(b.survey.plan.KeyAlgorithm); err != nil {
			return issuedLeaf{}, fmt.Errorf("making the key of %s: %w", l.Name, err)
		}
		if issued.keyPEM, err = encodeKey(subject.key); err != nil {
			return issuedLeaf{}, fmt.Errorf("encoding the key of %s: %w", l.Name, err)
		}
	case subject.key == nil:
		// Its key is on its node, and proved itself when the certificate was first signed.
		subject.pub, issued.keyOnNode = work.state.chain[0].PublicKey, true
	}
	if err := b.survey.record.checkKey(subject.publicKey()); err != nil {
		return issuedLeaf{}, fmt.Errorf("issuing %s: %w", l.Name, err)
	}
	if issued.cert, err = signer.sign(ctx, l, subject, notBefore, notAfter); err != nil {
		return issuedLeaf{}, fmt.Errorf("issuing %s: %w", l.Name, err)
	}
	if err := verifyIssued(l, issued.cert, issuer.cert, subject.publicKey(), b.config.Now); err != nil {
		return issuedLeaf{}, fmt.Errorf("verifying %s before its release: %w", l.Name, err)
	}
	issued.certPEM = append(encodeCertificates(issued.cert), signer.chainPEM...)
	return issued, nil
}

// newSigner returns the signer of a leaf's issuer, after it verified the CAs up to the root.
func (b *issuance) newSigner(l Leaf) (*leafSigner, error) {
	var chain []*x509.Certificate
	for _, name := range b.survey.plan.issuersAbove(l) {
		chain = append(chain, b.signed[name].cert)
	}
	for _, eku := range l.EKUs {
		if err := verifyIssuer(chain, b.signed[l.Root].cert, eku, b.config.Now); err != nil {
			return nil, fmt.Errorf("verifying %s, which signs %s: %w", l.Issuer, l.Name, err)
		}
	}
	signer, err := newLeafSigner(b.signed[l.Issuer], b.config.Backend, b.remote)
	if err != nil {
		return nil, err
	}
	if root := b.signed[l.Root]; root.Issuer == "" && !isSelfSigned(root.cert) {
		chain = append(chain, root.cert) // who trusts only the CA above it needs it
	}
	signer.chainPEM = encodeCertificates(chain...)
	return signer, nil
}

// leafLifetime keeps a leaf within its issuer's lifetime.
func leafLifetime(issuer *x509.Certificate, lifetime time.Duration, now time.Time) (notBefore, notAfter time.Time, err error) {
	notBefore = maxTime(now.Add(-backdate), issuer.NotBefore)
	notAfter = minTime(now.Add(lifetime), issuer.NotAfter)
	if !notAfter.After(now) {
		return notBefore, notAfter, fmt.Errorf("its issuer %q ended on %s", issuer.Subject.CommonName, issuer.NotAfter.Format(time.RFC3339))
	}
	return notBefore, notAfter, nil
}

// entries returns the ledger lines for what was signed, in plan order.
func (b *issuance) entries() []Entry {
	var entries []Entry
	for _, a := range b.survey.plan.Authorities {
		if reason, certified := b.survey.certify[a.Name]; certified {
			entries = append(entries, newEntry(a.Name, RoleCA, reason, b.survey.plan.SpecHash, b.signed[a.Name].cert, b.config.Now))
		}
	}
	for l := range b.survey.plan.leaves() {
		if issued, ok := b.issued[l.ID]; ok {
			e := newEntry(l.Name, l.Role, b.survey.leaves[l.ID].reason, b.survey.plan.SpecHash, issued.cert, b.config.Now)
			e.KeyOnNode = issued.keyOnNode
			entries = append(entries, e)
		}
	}
	return entries
}

// signLists signs the revocation lists that need it, and returns their ledger lines. There are the
// ledger's lines and then new ones before them, and other lists on disk.
func (b *issuance) signLists(there, fresh []Entry, onDisk []foundList) ([]Entry, error) {
	before := slices.Concat(there, fresh)
	var entries []Entry
	for _, list := range b.survey.lists.all {
		if !list.stale {
			continue
		}
		signer, number := b.signed[list.Signer], nextListNumber(len(before)+1, before, onDisk)
		der, err := list.sign(signer, number, b.survey.plan.LeafLifetime, b.config.Now)
		if err != nil {
			return nil, err
		}
		b.crls[list.Root] = der
		e := list.entry(signer, number, b.survey.plan.LeafLifetime, b.survey.plan.SpecHash, b.config.Now)
		entries, before = append(entries, e), append(before, e)
		b.advance()
	}
	return entries, nil
}
