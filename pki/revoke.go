package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// ReasonKeyCompromise is the reason for a stolen key. Such a key is never certified again.
const ReasonKeyCompromise = "keyCompromise"

// reasons lists the reasons of RFC 5280, 5.3.1, with their codes. It lacks certificateHold and
// removeFromCRL, because etcd knows only revoked and not revoked.
var reasons = []struct {
	name string
	code int
}{
	{"unspecified", 0}, {ReasonKeyCompromise, 1}, {"cACompromise", 2}, {"affiliationChanged", 3},
	{"superseded", 4}, {"cessationOfOperation", 5}, {"privilegeWithdrawn", 9},
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
	// Current also revokes the certificate that is in use. Otherwise a name means all except that.
	Current bool
}

// ErrCurrent means that a revocation would shut out the holder of a certificate in use.
var ErrCurrent = errors.New("it is in use")

// PlanRevocation returns the ledger's entries for a revocation, for [Store.Revoke]. It changes
// nothing. It refuses to shut out the holder of a certificate in use, unless Current is set. It
// returns no entries if all the certificates are already revoked: a run that died may have left the
// lists unsigned.
func (s *Store) PlanRevocation(plan Plan, r Revocation, now time.Time) ([]Entry, error) {
	if !slices.Contains(Reasons(), r.Reason) {
		return nil, fmt.Errorf("no reason %q; RFC 5280 has %s", r.Reason, strings.Join(Reasons(), ", "))
	}
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return nil, err
	}
	current, err := s.serialsInUse(plan)
	if err != nil {
		return nil, err
	}
	candidates, before, err := r.findCandidates(entries, now)
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
			return nil, fmt.Errorf("revoking %s: %w by %s and everything else below it; rotate it first", e.Name, ErrCurrent, holder)
		default:
			inUse = holder
		}
	}
	if len(found) == 0 && !before {
		return nil, fmt.Errorf("revoking %s: %w by %s, and no older certificate is still valid", r.Which, ErrCurrent, inUse)
	}
	return found, nil
}

// entry returns the ledger's line for a revocation.
func (r Revocation) entry(e Entry, specHash string, now time.Time) Entry {
	e.Event, e.Reason, e.Time, e.SpecHash, e.Prev = EventRevoke, r.Reason, now.UTC().Truncate(time.Second), specHash, ""
	return e
}

// findCandidates returns the certificates to revoke: those that have not expired and are not revoked
// yet. before reports whether others are already revoked.
func (r Revocation) findCandidates(entries []Entry, now time.Time) (found []Entry, before bool, err error) {
	serial := normalSerial(r.Which)
	if r.Certificate != nil {
		serial = SerialString(r.Certificate.SerialNumber)
	}
	byName := func(e Entry) bool { return r.Certificate == nil && hasName(Leaf{Name: e.Name}, r.Which) }
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
		return nil, false, fmt.Errorf("revoking %s: it has already expired", r.Which)
	}
	return found, before, nil
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

// serialsInUse maps the serial numbers of the certificates in the store's bundles to the names of
// their leaves.
func (s *Store) serialsInUse(plan Plan) (map[string]string, error) {
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

// Revoke records revocations in the ledger. The next [Store.Survey] and [Store.Issue] sign the
// lists, even if this process dies before.
func (s *Store) Revoke(entries []Entry) error { return appendLedger(s.Dir, entries) }

// Revoked is a certificate that a run revoked, or would revoke.
type Revoked struct {
	Name     string    `json:"name"`
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
	Reason   string    `json:"reason"`
}

// RevocationResult lists what a revocation did, or would do.
type RevocationResult struct {
	SchemaVersion int       `json:"schema_version"`
	Dir           string    `json:"dir"`
	Cluster       string    `json:"cluster"`
	DryRun        bool      `json:"dry_run"`
	Revoked       []Revoked `json:"revoked"` // none if all were revoked before
	Next          []string  `json:"next"`
}

// ApplyRevocation records a revocation in the ledger and signs the lists anew; with dryRun it only
// finds the certificates. The ledger comes first: if a run dies before it has signed the lists, the
// certificates are revoked, and the next run signs the lists. An [UnfinishedError] means that it
// failed after it had changed the ledger.
func (s *Store) ApplyRevocation(ctx context.Context, c *cluster.Cluster, r Revocation, now time.Time, dryRun bool) (RevocationResult, error) {
	result := RevocationResult{SchemaVersion: 1, Dir: s.Dir, Cluster: c.Name, DryRun: dryRun, Revoked: []Revoked{}, Next: afterRevocation(c, s.Dir)}
	plan := NewPlan(c)
	entries, err := s.PlanRevocation(plan, r, now)
	if err != nil {
		return result, err
	}
	for _, e := range entries {
		result.Revoked = append(result.Revoked, Revoked{e.Name, e.Serial, e.NotAfter, e.Reason})
	}
	if dryRun {
		return result, nil
	}
	if err := s.Revoke(entries); err != nil {
		return result, err
	}
	survey, err := s.Survey(ctx, plan, now, Renewal{ListsOnly: true})
	if err == nil {
		err = s.Issue(ctx, survey, c.YAML, IssueConfig{Now: now})
	}
	if err != nil {
		return result, &UnfinishedError{fmt.Errorf("the revocation is in the ledger, but the lists are not signed: %w", err)}
	}
	return result, nil
}

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
