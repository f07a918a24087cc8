package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// verifyLeaf returns every difference of a leaf and its chain from the plan. With crypto/x509 only, it
// checks the chain to the root for each EKU, exactly the planned SANs, EKUs and subject, the lifetime
// within the issuer's, and the key.
func verifyLeaf(want Leaf, chain []*x509.Certificate, root *x509.Certificate, pub crypto.PublicKey, now time.Time) []error {
	faults := verifyContent(want, chain[0], pub)
	faults = append(faults, verifyNesting(append(slices.Clone(chain), root))...)
	for i, eku := range want.EKUs {
		path, anchor := chain, root
		if i > 0 && len(chain) == 2 {
			// The issuing CA has been checked against the root, which limits no EKU; what is
			// left to ask for another EKU ends at the issuing CA.
			path, anchor = chain[:1], chain[1]
		}
		if err := verifyChain(path, anchor, eku, now); err != nil {
			return append(faults, err)
		}
	}
	return faults
}

// verifyIssued checks a leaf that was signed just now. verifyIssuer has already checked the issuer
// for each of the leaf's EKUs. So it checks only the leaf's own content, signature, name constraints
// and dates, once for all EKUs.
func verifyIssued(want Leaf, leaf, issuer *x509.Certificate, pub crypto.PublicKey, now time.Time) error {
	faults := append(verifyContent(want, leaf, pub), verifyNesting([]*x509.Certificate{leaf, issuer})...)
	if err := verifyChain([]*x509.Certificate{leaf}, issuer, want.EKUs[0], now); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// verifyIssuer checks the CAs above a leaf, issuer first, up to the root, for an EKU.
func verifyIssuer(chain []*x509.Certificate, root *x509.Certificate, eku x509.ExtKeyUsage, now time.Time) error {
	if len(chain) == 0 {
		return verifyChain([]*x509.Certificate{root}, root, eku, now) // the root signs itself
	}
	return errors.Join(append(verifyNesting(append(slices.Clone(chain), root)), verifyChain(chain, root, eku, now))...)
}

// verifyContent compares the content of a leaf and its key with the plan.
func verifyContent(want Leaf, leaf *x509.Certificate, pub crypto.PublicKey) []error {
	faults := verifyNames(want, leaf)
	// kubeadm and k3s set keyEncipherment too, which TLS 1.3 has no use for and no harm from.
	if leaf.IsCA || leaf.KeyUsage&^x509.KeyUsageKeyEncipherment != x509.KeyUsageDigitalSignature {
		faults = append(faults, errors.New("has the key usage of a CA, not of a leaf"))
	}
	if !samePublicKey(leaf.PublicKey, pub) {
		faults = append(faults, errors.New("does not belong to its key"))
	}
	return faults
}

// verifyNames compares the subject, SANs and EKUs of a leaf with the plan.
func verifyNames(want Leaf, leaf *x509.Certificate) []error {
	var faults []error
	if leaf.Subject.CommonName != want.CommonName || len(leaf.Subject.Names) != 1 {
		faults = append(faults, fmt.Errorf("has subject %q, want CN=%s", leaf.Subject, want.CommonName))
	}
	if got, other := namesOf(leaf); !got.sameSet(want.Names) || other > 0 {
		faults = append(faults, fmt.Errorf("has the names %q, want %q", got.Strings(), want.Names.Strings()))
	}
	if !sameEKUs(leaf.ExtKeyUsage, want.EKUs) || len(leaf.UnknownExtKeyUsage) > 0 {
		faults = append(faults, fmt.Errorf("has the extended key usages %q, want %q", EKUNames(leaf.ExtKeyUsage), EKUNames(want.EKUs)))
	}
	return faults
}

// verifyNesting checks that every lifetime is within that of the next certificate of the chain.
func verifyNesting(chain []*x509.Certificate) []error {
	var faults []error
	for i, cert := range chain[:len(chain)-1] {
		issuer := chain[i+1]
		if cert.NotAfter.After(issuer.NotAfter) || cert.NotBefore.Before(issuer.NotBefore) {
			faults = append(faults, fmt.Errorf("%q is valid until %s, beyond its issuer's lifetime, which ends %s", cert.Subject.CommonName, cert.NotAfter.Format(time.RFC3339), issuer.NotAfter.Format(time.RFC3339)))
		}
	}
	return faults
}

func verifyChain(chain []*x509.Certificate, root *x509.Certificate, eku x509.ExtKeyUsage, now time.Time) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{eku},
	})
	return err
}

// verifyCA checks everything in an authority's certificate against the plan and its issuer.
func verifyCA(want Authority, cert, issuer *x509.Certificate, pub crypto.PublicKey, now time.Time) error {
	return errors.Join(append(append(caFaults(cert, issuer, pub), caDates(cert, now)...), caDeviations(want, cert)...)...)
}

// caFaults returns the faults that make a certificate useless for an authority of any plan.
func caFaults(cert, issuer *x509.Certificate, pub crypto.PublicKey) []error {
	var faults []error
	if !cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		faults = append(faults, errors.New("is not the certificate of a CA"))
	}
	if pub != nil && !samePublicKey(cert.PublicKey, pub) {
		faults = append(faults, errors.New("does not belong to its key"))
	}
	if issuer == nil {
		issuer = cert
	}
	if err := cert.CheckSignatureFrom(issuer); err != nil {
		faults = append(faults, fmt.Errorf("is not signed by %q: %w", issuer.Subject.CommonName, err))
	}
	return append(faults, verifyNesting([]*x509.Certificate{cert, issuer})...)
}

// caDates returns the faults of an authority's lifetime at the given time.
func caDates(cert *x509.Certificate, now time.Time) []error {
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return []error{fmt.Errorf("is valid from %s to %s, but now is %s", cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))}
	}
	return nil
}

// caDeviations returns how a working authority differs from the plan. If a root signs leaves itself,
// another tool may have made it without a path length.
func caDeviations(want Authority, cert *x509.Certificate) []error {
	var faults []error
	if cert.MaxPathLen != want.pathLen && (!want.anyPathLen || cert.MaxPathLen >= 0 && cert.MaxPathLen < want.pathLen) {
		faults = append(faults, fmt.Errorf("has path length %d, want %d", cert.MaxPathLen, want.pathLen))
	}
	if !sameEKUs(cert.ExtKeyUsage, want.EKUs) {
		faults = append(faults, fmt.Errorf("has the extended key usages %q, want %q", EKUNames(cert.ExtKeyUsage), EKUNames(want.EKUs)))
	}
	return faults
}

func sameEKUs(a, b []x509.ExtKeyUsage) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// EKUNames returns extended key usages in the spelling of RFC 5280.
func EKUNames(ekus []x509.ExtKeyUsage) []string {
	names := make([]string, 0, len(ekus))
	for _, eku := range ekus {
		switch eku {
		case x509.ExtKeyUsageServerAuth:
			names = append(names, "serverAuth")
		case x509.ExtKeyUsageClientAuth:
			names = append(names, "clientAuth")
		case x509.ExtKeyUsageAny:
			names = append(names, "anyExtendedKeyUsage")
		default:
			names = append(names, fmt.Sprintf("eku(%d)", eku))
		}
	}
	return names
}
