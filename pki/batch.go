package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

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
	cert    *x509.Certificate
	certPEM []byte // with the CAs behind it
	keyPEM  []byte // nil when the key stays as it is
	// keyOnNode says that the key is not in the store.
	keyOnNode bool
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

// authorities signs those that need a certificate, issuers before what they issue.
func (b *batch) authorities(ctx context.Context, w *Work) error {
	for _, a := range b.plan.Authorities {
		if w.certify[a.Name] == "" {
			continue
		}
		self := w.cas[a.Name]
		if self == nil {
			key, err := b.newKey(ctx, a)
			if err != nil {
				return fmt.Errorf("making the key of %s: %w", a.Name, err)
			}
			self = &ca{Authority: a, key: key}
		}
		signer := self
		if a.Issuer != "" {
			signer = w.cas[a.Issuer]
		}
		cert, err := certifyCA(b.plan.Cluster, self, signer, b.config.Now)
		if err != nil {
			return err
		}
		w.cas[a.Name] = &ca{Authority: a, cert: cert, key: self.key, keyKept: self.cert != nil}
		b.advance()
	}
	return nil
}

// newKey makes the key of a new authority, or takes the one that a program has for it.
func (b *batch) newKey(ctx context.Context, a Authority) (crypto.Signer, error) {
	if a.external != nil {
		return a.externalSigner(ctx, nil)
	}
	return generateKey(b.plan.KeyAlgorithm)
}

// leaves issues on every core: an RSA key takes a second to find.
func (b *batch) leaves(ctx context.Context, w *Work) error {
	signers := map[string]*leafSigner{}
	var todo []Leaf
	for _, bundle := range b.plan.Bundles {
		for _, l := range bundle.Leaves {
			if w.leaves[l.Name] == nil {
				continue
			}
			todo = append(todo, l)
			if signers[l.Issuer] == nil {
				signer, err := b.signerFor(l, w)
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
		issued[i], err = b.leaf(ctx, todo[i], w, signers[todo[i].Issuer])
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

// leaf signs one leaf and verifies it with crypto/x509 before anyone sees it.
func (b *batch) leaf(ctx context.Context, l Leaf, w *Work, signer *leafSigner) (issuedLeaf, error) {
	issuer, work := w.cas[l.Issuer], w.leaves[l.Name]
	notBefore, notAfter, err := leafLifetime(issuer.cert, b.plan.LeafLifetime, b.config.Now)
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
		if subject.key, err = generateKey(b.plan.KeyAlgorithm); err != nil {
			return issuedLeaf{}, fmt.Errorf("making the key of %s: %w", l.Name, err)
		}
		if issued.keyPEM, err = encodeKey(subject.key); err != nil {
			return issuedLeaf{}, fmt.Errorf("encoding the key of %s: %w", l.Name, err)
		}
	case subject.key == nil:
		// Its key is on its node, and proved itself when the certificate was first signed.
		subject.pub, issued.keyOnNode = work.state.chain[0].PublicKey, true
	}
	if issued.cert, err = signer.sign(ctx, l, subject, notBefore, notAfter); err != nil {
		return issuedLeaf{}, fmt.Errorf("issuing %s: %w", l.Name, err)
	}
	if err := verifyIssued(l, issued.cert, issuer.cert, subject.public(), b.config.Now); err != nil {
		return issuedLeaf{}, fmt.Errorf("verifying %s before its release: %w", l.Name, err)
	}
	issued.certPEM = append(encodeCertificates(issued.cert), signer.chainPEM...)
	return issued, nil
}

// signerFor prepares the signer of a leaf's issuer, and verifies the CAs up to the root.
func (b *batch) signerFor(l Leaf, w *Work) (*leafSigner, error) {
	issuer := w.cas[l.Issuer]
	var chain []*x509.Certificate
	for _, name := range b.plan.chain(l) {
		chain = append(chain, w.cas[name].cert)
	}
	for _, eku := range l.EKUs {
		if err := verifyIssuer(chain, w.cas[l.Root].cert, eku, b.config.Now); err != nil {
			return nil, fmt.Errorf("verifying %s, which is to sign %s: %w", l.Issuer, l.Name, err)
		}
	}
	signer, err := newLeafSigner(issuer, b.config.Backend, w.remote)
	if err != nil {
		return nil, err
	}
	signer.chainPEM = encodeCertificates(chain...)
	return signer, nil
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
func (b *batch) entries(w *Work) []Entry {
	var entries []Entry
	for _, a := range b.plan.Authorities {
		if reason := w.certify[a.Name]; reason != "" {
			entries = append(entries, newEntry(a.Name, "ca", reason, b.plan.SpecHash, w.cas[a.Name].cert, b.config.Now))
		}
	}
	for _, bundle := range b.plan.Bundles {
		for _, l := range bundle.Leaves {
			if work := w.leaves[l.Name]; work != nil {
				e := newEntry(l.Name, l.Role, work.reason, b.plan.SpecHash, b.issued[l.Name].cert, b.config.Now)
				e.KeyOnNode = b.issued[l.Name].keyOnNode
				entries = append(entries, e)
			}
		}
	}
	return entries
}

// revocationLists signs those that need it, and adds their ledger lines to the others.
func (b *batch) revocationLists(dir string, w *Work, entries []Entry) ([]Entry, error) {
	there, err := ReadLedger(dir)
	if err != nil {
		return nil, err
	}
	for _, list := range w.lists {
		if list.reason == "" {
			continue
		}
		signer, number := w.cas[list.Signer], int64(len(there)+len(entries)+1)
		if err := list.sign(signer, number, b.plan.LeafLifetime, b.config.Now); err != nil {
			return nil, err
		}
		entries = append(entries, list.entry(signer, number, b.plan.LeafLifetime, b.plan.SpecHash, b.config.Now))
		b.advance()
	}
	return entries, nil
}
