package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// verifyLeaf returns every difference of a leaf and its chain from the plan. With crypto/x509 only, it
// checks the chain to a trusted CA for each EKU, exactly the planned SANs, EKUs and subject, the
// lifetime within the issuer's, and the key.
func verifyLeaf(want Leaf, chain, trust []*x509.Certificate, pub crypto.PublicKey, now time.Time) []error {
	faults := verifyContent(want, chain[0], pub)
	faults = append(faults, verifyNestingBelow(chain, trust)...)
	for i, eku := range want.EKUs {
		path, anchors := chain, trust
		if i > 0 && len(chain) == 2 && len(trust) == 1 {
			// The issuing CA has been checked against the root, which limits no EKU; what is
			// left to ask for another EKU ends at the issuing CA.
			path, anchors = chain[:1], chain[1:]
		}
		if err := verifyChainTo(path, anchors, eku, now); err != nil {
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
	// A leaf may have any other key usage, or none (RFC 5280, 4.2.1.3), but TLS 1.3 signs with its key
	// (RFC 8446, 4.4.2.2).
	switch usage := leaf.KeyUsage; {
	case leaf.IsCA || usage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		faults = append(faults, errors.New("has the key usage of a CA, not of a leaf"))
	case usage != 0 && usage&x509.KeyUsageDigitalSignature == 0:
		faults = append(faults, errors.New("has a key usage without digitalSignature, which TLS 1.3 requires"))
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
	if err := compareNames(leaf, want.Names); err != nil {
		faults = append(faults, err)
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
		switch {
		case cert.NotBefore.Before(issuer.NotBefore):
			faults = append(faults, fmt.Errorf("%q is valid from %s, before its issuer is, from %s", cert.Subject.CommonName, cert.NotBefore.Format(time.RFC3339), issuer.NotBefore.Format(time.RFC3339)))
		case cert.NotAfter.After(issuer.NotAfter):
			faults = append(faults, fmt.Errorf("%q is valid until %s, beyond its issuer's lifetime, which ends %s", cert.Subject.CommonName, cert.NotAfter.Format(time.RFC3339), issuer.NotAfter.Format(time.RFC3339)))
		}
	}
	return faults
}

// verifyNestingBelow is verifyNesting for a chain and the one of the trusted CAs that signed its end.
func verifyNestingBelow(chain, trust []*x509.Certificate) []error {
	top := chain[len(chain)-1]
	issuer := slices.IndexFunc(trust, func(c *x509.Certificate) bool {
		return len(trust) == 1 || c.Equal(top) || top.CheckSignatureFrom(c) == nil
	})
	if issuer < 0 {
		return verifyNesting(chain)
	}
	return verifyNesting(append(slices.Clone(chain), trust[issuer]))
}

func verifyChain(chain []*x509.Certificate, root *x509.Certificate, eku x509.ExtKeyUsage, now time.Time) error {
	return verifyChainTo(chain, []*x509.Certificate{root}, eku, now)
}

// verifyChainTo verifies a chain as etcd does, which trusts several CAs.
func verifyChainTo(chain, trust []*x509.Certificate, eku x509.ExtKeyUsage, now time.Time) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range trust {
		roots.AddCert(root)
	}
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

// caFaults returns the faults that make a certificate useless for an authority of any plan. Without an
// issuer it is a root, which etcd trusts as it is, or its issuer could not be read.
func caFaults(cert, issuer *x509.Certificate, pub crypto.PublicKey) []error {
	var faults []error
	if !mayCertify(cert) {
		faults = append(faults, errors.New("is not the certificate of a CA"))
	}
	if pub != nil && !samePublicKey(cert.PublicKey, pub) {
		faults = append(faults, errors.New("does not belong to its key"))
	}
	switch {
	case issuer == nil && isSelfSigned(cert):
		if err := checkOwnSignature(cert); err != nil {
			faults = append(faults, fmt.Errorf("names itself as its issuer, but its own key did not sign it: %w", err))
		}
	case issuer == nil: // another CA signed it; etcd trusts it all the same
	default:
		if err := cert.CheckSignatureFrom(issuer); err != nil {
			faults = append(faults, fmt.Errorf("is not signed by %q: %w", issuer.Subject.CommonName, err))
		}
		faults = append(faults, verifyNesting([]*x509.Certificate{cert, issuer})...)
	}
	return faults
}

// mayCertify reports whether crypto/x509, and so etcd, lets a certificate be the trusted CA of others:
// one without key usages may do everything (RFC 5280, 4.2.1.3), and one of X.509 v1 has no basic
// constraints.
func mayCertify(cert *x509.Certificate) bool {
	isCA := cert.BasicConstraintsValid && cert.IsCA || cert.Version < 3 && isSelfSigned(cert)
	return isCA && (cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0)
}

// isSelfSigned reports whether a certificate says that its own key signed it. A CA that another one
// certified under the same name has the key ID of the other as that of its issuer.
func isSelfSigned(cert *x509.Certificate) bool {
	known := len(cert.AuthorityKeyId) > 0 && len(cert.SubjectKeyId) > 0
	return bytes.Equal(cert.RawSubject, cert.RawIssuer) && (!known || bytes.Equal(cert.AuthorityKeyId, cert.SubjectKeyId))
}

// checkOwnSignature checks a root's signature of itself. One with SHA-1 cannot be checked, and need not
// be: nobody who trusts the root looks at it.
func checkOwnSignature(cert *x509.Certificate) error {
	err := cert.CheckSignatureFrom(cert)
	if _, weak := errors.AsType[x509.InsecureAlgorithmError](err); weak {
		return nil
	}
	return err
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
