package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// ReasonKeyCompromise is the reason for a key that was stolen. It is never certified again.
const ReasonKeyCompromise = "keyCompromise"

// reasons are the words of RFC 5280, 5.3.1, with their codes. certificateHold and
// removeFromCRL are left out: etcd knows only revoked and not revoked.
var reasons = []struct {
	name string
	code int
}{
	{"unspecified", 0}, {ReasonKeyCompromise, 1}, {"cACompromise", 2}, {"affiliationChanged", 3},
	{"superseded", 4}, {"cessationOfOperation", 5}, {"privilegeWithdrawn", 9},
}

// Reasons are the reasons for a revocation, in the spelling of RFC 5280.
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

// Revocation says which certificates to revoke.
type Revocation struct {
	// Which is a serial number in hexadecimal, or the name of a leaf, member or client.
	Which string
	// Certificate, when not nil, is the one to revoke, whatever Which says.
	Certificate *x509.Certificate
	Reason      string // one of Reasons
	// Current revokes what is in use too; a name means all but that otherwise.
	Current bool
}

// ErrCurrent means that a revocation would shut out who holds a certificate in use.
var ErrCurrent = errors.New("it is in use")

// PlanRevocation finds the certificates, and refuses what would lock out their holders
// unasked. It changes nothing; the entries are for Revoke. There are none when all that was
// meant is revoked already: a run that died may still have its lists to sign.
func (s *Store) PlanRevocation(plan Plan, r Revocation, now time.Time) ([]Entry, error) {
	if !slices.Contains(Reasons(), r.Reason) {
		return nil, fmt.Errorf("no reason %q; RFC 5280 has %s", r.Reason, strings.Join(Reasons(), ", "))
	}
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return nil, err
	}
	current, err := s.inUse(plan)
	if err != nil {
		return nil, err
	}
	candidates, before, err := r.candidates(entries, now)
	if err != nil {
		return nil, err
	}
	var found []Entry
	inUse := ""
	for _, e := range candidates {
		holder, used := current[e.Serial]
		switch {
		case !used || r.Current && e.Role != "ca":
			found = append(found, r.entry(e, plan.SpecHash, now))
		case e.Role == RoleCA:
			return nil, fmt.Errorf("revoking %s: %w by %s and all else below it; rotate it first", e.Name, ErrCurrent, holder)
		default:
			inUse = holder
		}
	}
	if len(found) == 0 && !before {
		return nil, fmt.Errorf("revoking %s: %w by %s, and there is no older one that is valid still", r.Which, ErrCurrent, inUse)
	}
	return found, nil
}

// entry is a revocation's line in the ledger.
func (r Revocation) entry(e Entry, specHash string, now time.Time) Entry {
	e.Event, e.Reason, e.Time, e.SpecHash, e.Prev = EventRevoke, r.Reason, now.UTC().Truncate(time.Second), specHash, ""
	return e
}

// candidates are the certificates that are meant: valid, and not revoked yet. before says
// whether there are others that were revoked.
func (r Revocation) candidates(entries []Entry, now time.Time) (found []Entry, before bool, err error) {
	serial := normalSerial(r.Which)
	if r.Certificate != nil {
		serial = SerialString(r.Certificate.SerialNumber)
	}
	byName := func(e Entry) bool { return r.Certificate == nil && named(Leaf{Name: e.Name}, r.Which) }
	revoked := map[string]bool{}
	for _, e := range entries {
		revoked[e.Serial] = revoked[e.Serial] || e.Event == EventRevoke
	}
	known := false
	for _, e := range entries {
		if e.Event != EventIssue && e.Event != EventImport || e.Serial != serial && !byName(e) {
			continue
		}
		known = true
		before = before || revoked[e.Serial]
		if !revoked[e.Serial] && now.Before(e.NotAfter) {
			found = append(found, e)
		}
	}
	switch {
	case !known && r.Certificate != nil:
		return nil, false, fmt.Errorf("revoking %s: serial number %s is not in the ledger, so this store did not issue it; if an authority's key signed it elsewhere, that key is stolen: rotate the authority", r.Which, serial)
	case !known:
		return nil, false, fmt.Errorf("revoking %s: the ledger has no such name or serial number", r.Which)
	case len(found) == 0 && !before:
		return nil, false, fmt.Errorf("revoking %s: it expired already", r.Which)
	}
	return found, before, nil
}

// normalSerial takes a serial number as openssl, a browser or this program print it.
func normalSerial(s string) string {
	s = strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), ":", ""), "0x")
	n, ok := new(big.Int).SetString(s, 16)
	if !ok || n.Sign() <= 0 {
		return ""
	}
	return SerialString(n)
}

// inUse says which certificates the store's bundles present, and for whom.
func (s *Store) inUse(plan Plan) (map[string]string, error) {
	holders := map[string]string{}
	for _, b := range plan.Bundles {
		for _, l := range b.Leaves {
			state, err := s.loadLeaf(b, l)
			if err != nil {
				return nil, err
			}
			for _, cert := range state.chain {
				holders[SerialString(cert.SerialNumber)] = l.Name
			}
		}
	}
	return holders, nil
}

// Revoke enters revocations in the ledger. The lists follow with the next Survey and Issue,
// also when this process dies before.
func (s *Store) Revoke(entries []Entry) error { return appendLedger(s.Dir, entries) }
