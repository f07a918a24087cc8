package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The reasons for a stolen key: that of a leaf, of a CA, or of an attribute authority. Such a key is
// never certified again.
const (
	ReasonKeyCompromise = "keyCompromise"
	ReasonCACompromise  = "cACompromise"
	ReasonAACompromise  = "aACompromise"
)

// reasons lists the reasons of RFC 5280, 5.3.1, with their codes. It lacks certificateHold and
// removeFromCRL, because etcd knows only revoked and not revoked.
var reasons = []struct {
	name string
	code int
}{
	{"unspecified", 0}, {ReasonKeyCompromise, 1}, {ReasonCACompromise, 2}, {"affiliationChanged", 3},
	{"superseded", 4}, {"cessationOfOperation", 5}, {"privilegeWithdrawn", 9}, {ReasonAACompromise, 10},
}

// Reasons returns the reasons for a revocation, in the spelling of RFC 5280.
func Reasons() []string {
	names := make([]string, 0, len(reasons))
	for _, r := range reasons {
		names = append(names, r.name)
	}
	return names
}

func reasonCode(name string) int {
	for _, r := range reasons {
		if r.name == name {
			return r.code
		}
	}
	return 0
}

// Revocation tells which certificates to revoke.
type Revocation struct {
	// Which is a serial number in hexadecimal, or the name of a leaf, member or client.
	Which string
	// Certificate, if not nil, is the certificate to revoke. Which is then only for messages.
	Certificate *x509.Certificate
	Reason      string // one of Reasons
	// Current also revokes the certificate that is in use, of a leaf or an issuing CA. Otherwise a name
	// means all except that.
	Current bool
}

// ErrCurrent means that a revocation would shut out the holder of a certificate in use.
var ErrCurrent = errors.New("it is in use")

// ErrCurrentCA is [ErrCurrent] for an issuing CA: a revocation would shut out everything below it.
var ErrCurrentCA = fmt.Errorf("%w, and so is what it issued", ErrCurrent)

// ErrNoReason means that a reason for a revocation is not one of [Reasons].
var ErrNoReason = errors.New("no reason")

// ErrNotInLedger means that nothing of the name or serial number was ever issued in a store.
var ErrNotInLedger = errors.New("the ledger has no such name or serial number")

// PlanRevocation returns the ledger's entries for a revocation, for [Store.Revoke]. It changes
// nothing. It refuses to shut out the holder of a certificate in use, unless Current is set. If a key
// was stolen, it also revokes every other certificate of that key that is not in use, whatever its
// name is. It returns no entries if all the certificates are already revoked: a run that died may have
// left the lists unsigned.
func (s *Store) PlanRevocation(plan Plan, r Revocation, now time.Time) ([]Entry, error) {
	if !slices.Contains(Reasons(), r.Reason) {
		return nil, fmt.Errorf("%w %q; RFC 5280 has %s", ErrNoReason, r.Reason, strings.Join(Reasons(), ", "))
	}
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return nil, err
	}
	inUse, err := s.certificatesInUse(plan)
	if err != nil {
		return nil, err
	}
	candidates, before, err := r.findCandidates(entries, now)
	if err != nil {
		return nil, err
	}
	var found, current []Entry
	for _, e := range candidates {
		_, used := inUse[e.CertHash]
		if used && (!r.Current || plan.isRoot(e)) {
			current = append(current, e)
			continue
		}
		found = append(found, r.entry(e, plan.SpecHash, now))
	}
	switch only := len(found) == 0 && !before; {
	case (only || r.Current) && slices.ContainsFunc(current, plan.isRoot):
		// A verifier never looks for a root in a list.
		return nil, fmt.Errorf("revoking %s: no list can revoke a root, which everything below it trusts; make a new store instead", r.Which)
	case only && current[0].Role == RoleCA:
		return nil, fmt.Errorf("revoking %s: %w, and no older certificate is still valid", r.Which, ErrCurrentCA)
	case only:
		return nil, fmt.Errorf("revoking %s: %w by %s, and no older certificate is still valid", r.Which, ErrCurrent, inUse[current[0].CertHash])
	}
	if !isCompromise(r.Reason) {
		return found, nil
	}
	for _, e := range certificatesWithKeyOf(entries, found, now) {
		if _, used := inUse[e.CertHash]; !used {
			found = append(found, r.entry(e, plan.SpecHash, now))
		}
	}
	return found, nil
}

// isRoot reports whether the ledger's line is about a root of the plan.
func (p Plan) isRoot(e Entry) bool {
	a := p.authority(e.Name)
	return e.Role == RoleCA && a.Name != "" && a.isRoot()
}

// certificatesWithKeyOf returns the certificates that have not expired, are not revoked yet, and have
// the key of one that is revoked now.
func certificatesWithKeyOf(entries, revokedNow []Entry, now time.Time) []Entry {
	keys, revoked := map[string]bool{}, recordOf(slices.Concat(entries, revokedNow)).certificates
	for _, e := range revokedNow {
		keys[e.KeyHash] = true
	}
	var found []Entry
	for _, e := range entries {
		if _, done := revoked[e.CertHash]; keys[e.KeyHash] && !done && e.isCertificate() && now.Before(e.NotAfter) {
			found = append(found, e)
		}
	}
	return found
}

// entry returns the ledger's line for a revocation.
func (r Revocation) entry(e Entry, specHash string, now time.Time) Entry {
	e.Event, e.Reason, e.Time, e.SpecHash, e.Prev = EventRevoke, r.Reason, now.UTC().Truncate(time.Second), specHash, ""
	return e
}

// findCandidates returns the certificates to revoke: those that have not expired and are not revoked
// yet. If the key was stolen, it also returns those that are revoked for another reason, so that the
// ledger says it, and an expired one that was given by itself: a later one may have the same key.
// before reports whether others are already revoked.
func (r Revocation) findCandidates(entries []Entry, now time.Time) (found []Entry, before bool, err error) {
	matches, err := r.match(entries)
	if err != nil {
		return nil, false, err
	}
	record, stolen := recordOf(entries), isCompromise(r.Reason)
	for _, e := range matches {
		_, done := record.certificates[e.CertHash]
		if _, compromised := record.keys[e.KeyHash]; done && stolen && !compromised {
			done = false
		}
		before = before || done
		if !done && (now.Before(e.NotAfter) || stolen && len(matches) == 1) {
			found = append(found, e)
		}
	}
	if len(found) == 0 && !before {
		return nil, false, fmt.Errorf("revoking %s: it has already expired", r.Which)
	}
	return found, before, nil
}

// match returns the certificates of the ledger that the revocation means.
func (r Revocation) match(entries []Entry) ([]Entry, error) {
	if r.Certificate != nil {
		found := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return !e.isCertificate() || e.CertHash != certHash(r.Certificate) })
		if len(found) == 0 {
			return nil, fmt.Errorf("revoking %s: serial number %s is not in the ledger, so this store did not issue it; if an authority's key signed it elsewhere, that key is stolen: rotate the authority", r.Which, SerialString(r.Certificate.SerialNumber))
		}
		return found, nil
	}
	meant, err := chooseMeaning(r.Which, func(yield func(certificateHolder) bool) {
		for _, e := range entries {
			if e.isCertificate() && !yield(e.holder()) {
				return
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("revoking %s: %w", r.Which, err)
	}
	var bySerial, byName []Entry
	serial, issuers := normalSerial(r.Which), map[string]bool{}
	for _, e := range entries {
		if !e.isCertificate() {
			continue
		}
		if e.Serial == serial {
			bySerial = append(bySerial, e)
			issuers[e.IssuerKID] = true
		}
		if meant != meansOther && e.holder().meaningOf(r.Which) == meant {
			byName = append(byName, e)
		}
	}
	switch {
	case len(bySerial) > 0 && len(byName) > 0 || len(issuers) > 1:
		return nil, fmt.Errorf("revoking %s: it means several certificates, %s; give the PEM file of the right one", r.Which, describeEntries(slices.Concat(bySerial, byName)))
	case len(bySerial)+len(byName) == 0:
		return nil, fmt.Errorf("revoking %s: %w", r.Which, ErrNotInLedger)
	}
	return slices.Concat(bySerial, byName), nil
}

// describeEntries lists certificates for an error.
func describeEntries(entries []Entry) string {
	var texts []string
	for _, e := range entries {
		if text := fmt.Sprintf("serial number %s of %s", e.Serial, e.Name); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

// normalSerial returns a serial number in the form of [SerialString], from the forms that openssl,
// browsers and etcdsec print. It returns "" if it is none.
func normalSerial(s string) string {
	s = strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), ":", ""), "0x")
	n, ok := new(big.Int).SetString(s, 16)
	if !ok || n.Sign() <= 0 {
		return ""
	}
	return SerialString(n)
}

// certificatesInUse maps the hashes of the store's certificates that are in use to the names of the
// authorities or leaves that use them.
func (s *Store) certificatesInUse(plan Plan) (map[string]string, error) {
	holders := map[string]string{}
	for _, a := range plan.Authorities {
		certs, err := ReadCertificates(filepath.Join(s.Dir, filepath.FromSlash(a.Path()), caCertName))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			holders[certHash(certs[0])] = a.Name
		}
	}
	for _, b := range plan.Bundles {
		for _, l := range b.Leaves {
			state, err := s.loadLeaf(b, l)
			if err != nil {
				return nil, err
			}
			for _, cert := range state.chain {
				if _, known := holders[certHash(cert)]; !known {
					holders[certHash(cert)] = l.Name
				}
			}
		}
	}
	return holders, nil
}

// bannedInUse returns the names of the authorities and leaves that may not stay in use after a
// revocation.
func (s *Store) bannedInUse(plan Plan, revokedNow []Entry) ([]string, error) {
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return nil, err
	}
	record := recordOf(slices.Concat(entries, revokedNow))
	var names []string
	add := func(name, path string) error {
		certs, err := ReadCertificates(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && record.banOf(certs[0]).banned() {
			names = append(names, name)
		}
		return err
	}
	var faults []error
	for _, a := range plan.Authorities {
		faults = append(faults, add(a.Name, filepath.Join(s.Dir, filepath.FromSlash(a.Path()), caCertName)))
	}
	for _, b := range plan.Bundles {
		for _, l := range b.Leaves {
			faults = append(faults, add(l.Name, filepath.Join(s.Dir, filepath.FromSlash(b.Path), filepath.FromSlash(l.CertFile))))
		}
	}
	return names, errors.Join(faults...)
}

// findListObstacle tells, in words, why no list can have one of the revoked certificates; empty if all lists can.
func (s *Store) findListObstacle(plan Plan, revoked []Entry) (string, error) {
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return "", err
	}
	for _, list := range plan.Lists {
		below := everBelow(entries, plan, list.Root)
		if len(revoked) > 0 && !slices.ContainsFunc(revoked, func(e Entry) bool { return below[e.holder()] }) {
			continue
		}
		certs, err := ReadCertificates(filepath.Join(s.Dir, filepath.FromSlash(plan.authority(list.Signer).Path()), caCertName))
		if err != nil {
			return "", err
		}
		if obstacle := listObstacle(certs[0]); obstacle != "" {
			return obstacle, nil
		}
	}
	return "", nil
}

// Revoke records revocations in the ledger. The next [Store.Survey] and [Store.Issue] sign the
// lists, even if this process dies before.
func (s *Store) Revoke(entries []Entry) error { return appendLedger(s.Dir, entries) }

// ReadLeafFile returns the leaf of a PEM file, or nil if there is no such file.
func ReadLeafFile(path string) (*x509.Certificate, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil //nolint:nilerr // a folder named like a client, say; it is no certificate's file
	}
	certs, err := ReadCertificates(path)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}
