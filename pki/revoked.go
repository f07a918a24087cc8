package pki

import (
	"crypto"
	"crypto/x509"
	"fmt"
)

// isCompromise reports whether a revocation's reason says that somebody else may have the private
// key. Such a key is never certified again.
func isCompromise(reason string) bool {
	switch reason {
	case ReasonKeyCompromise, ReasonCACompromise, ReasonAACompromise:
		return true
	}
	return false
}

// revocationRecord holds what the ledger says about revocations. The zero value has none.
type revocationRecord struct {
	certificates map[string]Entry // by the hash of the certificate: two CAs may use one serial number
	keys         map[string]Entry // of compromised keys, by the hash of the key, whatever the name was
}

// recordOf returns the revocations of a ledger.
func recordOf(entries []Entry) revocationRecord {
	r := revocationRecord{certificates: map[string]Entry{}, keys: map[string]Entry{}}
	for _, e := range entries {
		if e.Event != EventRevoke {
			continue
		}
		if e.CertHash == "" {
			continue // only a list knew it, so it is no certificate on disk
		}
		r.certificates[e.CertHash] = e // the last reason counts
		if _, before := r.keys[e.KeyHash]; !before && isCompromise(e.Reason) {
			r.keys[e.KeyHash] = e
		}
	}
	return r
}

// ban tells why a certificate must not stay in use. The zero value means that it may.
type ban struct {
	cause string // in words; empty if it may stay in use
	// compromised means that its key must not be certified again, under any name.
	compromised bool
}

func (b ban) banned() bool { return b.cause != "" }

// banOf returns why a certificate must not stay in use.
func (r revocationRecord) banOf(cert *x509.Certificate) ban {
	own, revoked := r.certificates[certHash(cert)]
	key, compromised := r.keys[keyHash(cert)]
	switch {
	case revoked && (isCompromise(own.Reason) || !compromised):
		return ban{fmt.Sprintf("was revoked: %s", own.Reason), compromised}
	case compromised:
		return ban{fmt.Sprintf("has the key of %s, serial number %s, which was revoked: %s", key.Name, key.Serial, key.Reason), true}
	}
	return ban{}
}

// banAbove returns why a leaf must not stay in use although nothing is wrong with itself: a CA above it
// was revoked. Members look for every certificate of a chain in their lists.
func (r revocationRecord) banAbove(chain []*x509.Certificate) ban {
	for _, cert := range chain[1:] {
		if b := r.banOf(cert); b.banned() {
			return ban{cause: fmt.Sprintf("its issuer %q %s", nameOf(cert), b.cause)}
		}
	}
	return ban{}
}

// checkKey refuses a key that was revoked as compromised.
func (r revocationRecord) checkKey(pub crypto.PublicKey) error {
	e, compromised := r.keys[publicKeyHash(pub, nil)]
	if !compromised {
		return nil
	}
	return fmt.Errorf("it has the key of %s, serial number %s, which was revoked: %s; such a key is never certified again, so make a new one", e.Name, e.Serial, e.Reason)
}

// Revocations holds what a store's ledger says about revoked certificates.
type Revocations struct{ record revocationRecord }

// ReadRevocations reads the ledger of the store in dir.
func ReadRevocations(dir string) (Revocations, error) {
	entries, err := ReadLedger(dir)
	return Revocations{recordOf(entries)}, err
}

// Ban returns, in words, why the leaf of a chain must not be used: it, its key or a CA above it was
// revoked. It is empty if it may be used.
func (r Revocations) Ban(chain []*x509.Certificate) string {
	if own := r.record.banOf(chain[0]); own.banned() {
		return own.cause
	}
	if above := r.record.banAbove(chain); above.banned() {
		return "is below a revoked CA: " + above.cause
	}
	return ""
}
