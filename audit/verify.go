package audit

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// verification is the result of verifying a chain.
type verification struct {
	roots           *x509.CertPool
	chain, verified []*x509.Certificate
	err             error
}

// Verify returns a chain from the leaf of a served chain to one of Roots. Other checks judge whether it is
// valid today and for which uses, so it is enough that it verifies at some time. Verify keeps the last
// result, because several checks ask for it.
func (l *Listener) Verify(chain []*x509.Certificate) ([]*x509.Certificate, error) {
	if l.verification == nil || l.verification.roots != l.Roots || !slices.EqualFunc(l.verification.chain, chain, (*x509.Certificate).Equal) {
		verified, err := verify(chain, l.Roots, l.Now)
		l.verification = &verification{l.Roots, chain, verified, err}
	}
	return l.verification.verified, l.verification.err
}

func verify(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) ([]*x509.Certificate, error) {
	intermediates := x509.NewCertPool()
	instants := []time.Time{now}
	for _, cert := range chain {
		instants = append(instants, cert.NotBefore, cert.NotAfter)
	}
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	var first error
	for _, instant := range instants {
		found, err := chain[0].Verify(x509.VerifyOptions{
			Roots:         roots,
			Intermediates: intermediates,
			CurrentTime:   instant,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return found[0], nil
		}
		if first == nil {
			first = err
		}
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || invalid.Reason != x509.Expired {
			return nil, err
		}
	}
	return nil, first
}

// NoteUnusedRoots sets RootsUnused if listeners serve certificates and not one of these leads to the given
// CAs, and reports whether it did. Then the CAs are more likely those of another cluster than all servers
// wrong.
func NoteUnusedRoots(listeners []*Listener) bool {
	var untrusted []*Listener
	for _, l := range listeners {
		if l.Roots == nil || l.Kind != Client && l.Kind != Metrics {
			continue
		}
		for _, chain := range l.Chains() {
			if _, err := l.Verify(chain); err == nil {
				return false
			}
			untrusted = append(untrusted, l)
		}
	}
	for _, l := range untrusted {
		l.RootsUnused = true
	}
	return len(untrusted) > 0
}
