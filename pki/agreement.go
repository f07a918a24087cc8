package pki

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// A store has two records of what was issued and revoked: its ledger, and its certificates and lists. A
// run writes the ledger first, so the files never know more than the ledger. If they do, one of them
// comes from a backup or from another store. Nothing is signed then: the next list would lack a revoked
// certificate, or leaves would be signed by CAs that nobody trusts.

// gap is something in the files of a store that its ledger lacks.
type gap struct {
	path  string // in the store
	cause string // in words, about the file
	// entry is the line that the ledger needs. Its event is empty if no run may write it: the store may
	// never have issued what is there.
	entry Entry
}

// DisagreementError means that the files of a store have what its ledger lacks. Nothing may be signed.
type DisagreementError struct {
	Dir    string
	Causes []string
	// Mendable means that [Store.Reconcile] can write all that the ledger lacks.
	Mendable bool
}

func (e *DisagreementError) Error() string {
	const most = 5
	causes := e.Causes[:min(len(e.Causes), most)]
	text := fmt.Sprintf("%s: the ledger and the files disagree, so nothing is signed: %s", e.Dir, strings.Join(causes, "; "))
	if more := len(e.Causes) - len(causes); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if !e.Mendable {
		text += "; restore the authorities and the ledger of this store from one backup"
	}
	return text
}

// checkAgreement returns a [DisagreementError] if the files have what the ledger lacks.
func (s *Store) checkAgreement(plan Plan, cas authorities, entries []Entry) error {
	gaps := s.findGaps(plan, cas, entries)
	if len(gaps) == 0 {
		return nil
	}
	e := &DisagreementError{Dir: s.Dir, Mendable: true}
	if len(entries) == 0 {
		e.Causes = []string{ledgerName + " has no lines, but there are certificates"}
	}
	for _, g := range gaps {
		e.Causes = append(e.Causes, g.path+" "+g.cause)
		e.Mendable = e.Mendable && g.entry.Event != ""
	}
	return e
}

// checkRecords is checkAgreement for a run that has read nothing yet.
func (s *Store) checkRecords(plan Plan) error {
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return err
	}
	cas, err := s.loadAuthorities(plan)
	if err != nil {
		return err
	}
	return s.checkAgreement(plan, cas, entries)
}

// gapSearch is one comparison of the files with the ledger.
type gapSearch struct {
	store   *Store
	plan    Plan
	cas     authorities
	entries []Entry // of the ledger, and those that it needs
	known   map[adoptedCertificate]bool
	hashes  map[string]bool // of the known certificates, whoever holds them
	fresh   bool            // whether there is no ledger, so that a new one begins with the roots
	gaps    []gap
}

// findGaps returns what the files of a store have and its ledger lacks, each authority before what is
// below it. It leaves out files that cannot be read, and certificates that no authority of the store
// signed: a renewal replaces these.
func (s *Store) findGaps(plan Plan, cas authorities, entries []Entry) []gap {
	g := gapSearch{store: s, plan: plan, cas: cas, entries: entries, fresh: len(entries) == 0, known: map[adoptedCertificate]bool{}, hashes: map[string]bool{}}
	for _, e := range entries {
		if e.isCertificate() {
			g.known[adoptedCertificate{e.holder(), e.CertHash}], g.hashes[e.CertHash] = true, true
		}
	}
	g.findAuthorities()
	g.findLeaves()
	g.findLists()
	return g.gaps
}

// notInLedger tells what is wrong with a certificate that no line of the ledger records.
const notInLedger = "is not in the ledger: this store did not issue it, or the ledger has lost its line"

// add adds a gap, and the line that it needs to what the ledger has.
func (g *gapSearch) add(path, cause string, entry Entry) {
	g.gaps = append(g.gaps, gap{path, cause, entry})
	if entry.Event != "" {
		g.entries = append(g.entries, entry)
	}
	if entry.isCertificate() {
		g.known[adoptedCertificate{entry.holder(), entry.CertHash}] = true
	}
}

func (g *gapSearch) findAuthorities() {
	for _, a := range g.plan.Authorities {
		c := g.cas[a.Name]
		if c == nil {
			continue
		}
		e := newEntry(a.Name, RoleCA, reasonFound, g.plan.SpecHash, c.cert, time.Time{})
		if !g.known[adoptedCertificate{e.holder(), e.CertHash}] {
			by := g.cas[a.Issuer]
			if a.Issuer == "" && !g.fresh || a.Issuer != "" && (by == nil || !g.isKnown(by) || c.cert.CheckSignatureFrom(by.cert) != nil) {
				e = Entry{}
			}
			g.add(path.Join(a.Path(), caCertName), notInLedger, e)
		}
		for i, cert := range c.also {
			e := newEntry(alsoTrustedEntry(a, i), RoleCA, reasonFound, g.plan.SpecHash, cert, time.Time{})
			if !g.known[adoptedCertificate{e.holder(), e.CertHash}] {
				if !g.fresh {
					e = Entry{}
				}
				g.add(path.Join(a.Path(), alsoTrustedName), fmt.Sprintf("has the CA %q, which %s", nameOf(cert), notInLedger), e)
			}
		}
	}
}

// isKnown reports whether the ledger has an authority's certificate.
func (g *gapSearch) isKnown(c *ca) bool {
	return g.known[adoptedCertificate{certificateHolder{authority: c.Name}, certHash(c.cert)}]
}

func (g *gapSearch) findLeaves() {
	for _, b := range g.plan.Bundles {
		for _, l := range b.Leaves {
			chain, err := ReadCertificates(g.store.path(b.Path, l.CertFile))
			if err != nil || g.hashes[certHash(chain[0])] {
				continue
			}
			root := g.cas[l.Root]
			if root == nil || !isSignedBelow(chain, root.trust()) {
				continue
			}
			e := newEntry(l.Name, l.Role, reasonFound, g.plan.SpecHash, chain[0], time.Time{})
			if _, err := ReadKey(g.store.path(b.Path, l.KeyFile)); err != nil {
				e.KeyOnNode = l.LacksKey(err)
			}
			if !g.isKnown(root) {
				e = Entry{}
			}
			g.add(path.Join(b.Path, l.CertFile), notInLedger, e)
		}
	}
}

// isSignedBelow reports whether each certificate of a chain is signed by the next one, and the last one
// by a trusted CA, whenever that was.
func isSignedBelow(chain, trust []*x509.Certificate) bool {
	for i, cert := range chain[:len(chain)-1] {
		if cert.CheckSignatureFrom(chain[i+1]) != nil {
			return false
		}
	}
	top := chain[len(chain)-1]
	for _, ca := range trust {
		if len(chain) > 1 && top.Equal(ca) || top.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

// foundList is a revocation list on disk that its signer verifies.
type foundList struct {
	of RevocationList
	*x509.RevocationList
	path string // in the store
}

func (g *gapSearch) findLists() {
	signed, revoked := map[string]bool{}, map[string]bool{}
	for _, e := range g.entries {
		switch e.Event {
		case EventCRL:
			signed[e.Name+" "+e.Serial] = true
		case EventRevoke:
			revoked[e.Serial] = true
		}
	}
	for _, list := range g.store.verifiedLists(g.plan, g.cas) {
		signer := g.cas[list.of.Signer]
		for _, r := range list.RevokedCertificateEntries {
			serial := SerialString(r.SerialNumber)
			if revoked[serial] {
				continue
			}
			revoked[serial] = true
			entry := g.revocationOf(list, serial, r)
			if !g.isKnown(signer) {
				entry = Entry{}
			}
			g.add(list.path, fmt.Sprintf("revokes serial number %s, and the ledger does not", serial), entry)
		}
		number := fmt.Sprintf("%x", list.Number)
		if name := list.of.Root + "/crl"; !signed[name+" "+number] {
			signed[name+" "+number] = true
			entry := Entry{
				Event: EventCRL, Reason: string(reasonFound), Name: name, Role: RoleCRL,
				Subject: signer.cert.Subject.CommonName, Serial: number, SKID: newEntry("", "", "", "", signer.cert, time.Time{}).SKID,
				NotBefore: list.ThisUpdate.UTC(), NotAfter: list.NextUpdate.UTC(), SpecHash: g.plan.SpecHash,
			}
			if !g.isKnown(signer) {
				entry = Entry{}
			}
			g.add(list.path, fmt.Sprintf("has the number %s, which the ledger does not have", list.Number), entry)
		}
	}
}

// revocationOf returns the ledger's line for a serial number in a list. If the ledger does not know the
// certificate either, the serial number stays in the lists as long as their root lives.
func (g *gapSearch) revocationOf(list foundList, serial string, r x509.RevocationListEntry) Entry {
	below := everBelow(g.entries, g.plan, list.of.Root)
	e := Entry{Name: list.of.Root + "/crl", Role: RoleCRL, Serial: serial, NotBefore: r.RevocationTime.UTC(), NotAfter: g.cas[list.of.Root].cert.NotAfter.UTC()}
	for _, known := range g.entries {
		if known.isCertificate() && known.Serial == serial && below[known.holder()] {
			e = known
		}
	}
	e.Event, e.Reason, e.Time = EventRevoke, reasonOf(r.ReasonCode), r.RevocationTime.UTC()
	e.SpecHash, e.Prev = g.plan.SpecHash, ""
	return e
}

// verifiedLists returns the lists of a store that their signers verify: the authorities' own, and the
// copies in bundles, each content once.
func (s *Store) verifiedLists(plan Plan, cas authorities) []foundList {
	var found []foundList
	for _, list := range plan.Lists {
		signer := cas[list.Signer]
		if signer == nil || cas[list.Root] == nil {
			continue
		}
		paths := []string{path.Join(signer.Path(), crlName)}
		for _, b := range plan.Bundles {
			for _, f := range b.CRLs {
				if f.Root == list.Root {
					paths = append(paths, path.Join(b.Path, f.Name))
				}
			}
		}
		var seen [][]byte
		for _, at := range paths {
			der, err := durable.ReadFile(s.path(at), maxPEMSize)
			if err != nil || len(seen) > 0 && bytes.Equal(seen[len(seen)-1], der) {
				continue // unreadable ones are found elsewhere
			}
			seen = append(seen, der)
			parsed, err := x509.ParseRevocationList(der)
			if err == nil && parsed.Number != nil && parsed.CheckSignatureFrom(signer.cert) == nil {
				found = append(found, foundList{list, parsed, at})
			}
		}
	}
	return found
}

// nextListNumber returns the number of the next list: that of its line in the ledger, or one more than
// that of any list before.
func nextListNumber(line int, entries []Entry, lists []foundList) *big.Int {
	next := big.NewInt(int64(line))
	above := func(n *big.Int) {
		if n.Cmp(next) >= 0 {
			next.Add(n, big.NewInt(1))
		}
	}
	for _, e := range entries {
		if n, ok := new(big.Int).SetString(e.Serial, 16); ok && e.Event == EventCRL {
			above(n)
		}
	}
	for _, list := range lists {
		above(list.Number)
	}
	return next
}

// path returns the path of a file of the store from its slash-separated parts.
func (s *Store) path(parts ...string) string {
	return filepath.Join(s.Dir, filepath.FromSlash(path.Join(parts...)))
}

// Reconciled is a line that the ledger lacked.
type Reconciled struct {
	Path   string `json:"path"` // of the file that has it
	Event  string `json:"event"`
	Name   string `json:"name"`
	Serial string `json:"serial"`
	Reason string `json:"reason"`
}

// ReconcileResult lists what [Store.Reconcile] wrote into the ledger, or would write.
type ReconcileResult struct {
	SchemaVersion int          `json:"schema_version"`
	Dir           string       `json:"dir"`
	Cluster       string       `json:"cluster"`
	DryRun        bool         `json:"dry_run"`
	Recorded      []Reconciled `json:"recorded"`
	Next          []string     `json:"next,omitempty"`
}

// Reconcile records in the ledger what the files have and it lacks, as after it was restored from an
// earlier copy: certificates that verify below the roots of the ledger, and what verified lists revoke.
// It signs nothing. It refuses everything if something is there that the store cannot have issued. If
// there is no ledger at all, a new one begins with the roots that are there.
func (s *Store) Reconcile(c *cluster.Cluster, now time.Time, dryRun bool) (ReconcileResult, error) {
	result := ReconcileResult{SchemaVersion: 1, Dir: s.Dir, Cluster: c.Name, DryRun: dryRun, Recorded: []Reconciled{}}
	if err := s.checkSymlinks(); err != nil {
		return result, err
	}
	plan := NewPlan(c)
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return result, err
	}
	cas, err := s.loadAuthorities(plan)
	if err != nil {
		return result, err
	}
	if e, disagree := errors.AsType[*DisagreementError](s.checkAgreement(plan, cas, entries)); disagree && !e.Mendable {
		return result, e
	}
	gaps := s.findGaps(plan, cas, entries)
	var lines []Entry
	for _, g := range gaps {
		e := g.entry
		if e.Event != EventRevoke {
			e.Time = now.UTC().Truncate(time.Second)
		}
		lines = append(lines, e)
		result.Recorded = append(result.Recorded, Reconciled{g.path, e.Event, e.Name, e.Serial, e.Reason})
	}
	if len(lines) > 0 {
		result.Next = []string{"what was issued or revoked after the copy and has left no file is still unknown: compare with the nodes, and revoke serial numbers that should not be in use"}
	}
	if dryRun {
		return result, nil
	}
	return result, appendLedger(s.Dir, lines)
}

// reasonOf returns the name of a reason code of RFC 5280, 5.3.1.
func reasonOf(code int) string {
	for _, r := range reasons {
		if r.code == code {
			return r.name
		}
	}
	return reasons[0].name
}

// revocationKey identifies a revoked certificate in the ledger: by its hash, or by its serial number if
// only a list knew it.
func (e Entry) revocationKey() string { return cmp.Or(e.CertHash, "serial "+e.Serial) }
