package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// The files of an authority's revocation list. etcd 3.6 and later read DER alone, 3.5
// reads both (etcd-io/etcd#17106), so members get DER; PEM is for everybody else.
const (
	crlName    = "ca.crl"
	crlPEMName = "ca.crl.pem"
)

// RevocationList is one CRL of the plan. There is one for each root that a port trusts.
type RevocationList struct {
	Root   string // whose certificates it lists
	Signer string // the authority that signs it
}

// RevocationFile is a CRL under the name by which etcd loads it.
type RevocationFile struct{ Name, Root string }

// crlWork is a revocation list and why it must be signed, if it must.
type crlWork struct {
	RevocationList
	entries []Entry // its revocations
	der     []byte  // the list as it is on the disk; nil if there is none
	stale   bool    // whether it must be signed
	reason  string  // why, for the ledger
}

// revocationSurvey says which lists to sign, and whether bundles lack one that is there.
type revocationSurvey struct {
	all    []crlWork
	steps  []Step
	copies bool
}

// count returns the number of lists to sign.
func (r revocationSurvey) count() int {
	n := 0
	for _, list := range r.all {
		if list.stale {
			n++
		}
	}
	return n
}

// crls are revocation lists in DER by their root.
type crls map[string][]byte

// present returns the lists as they are on the disk.
func (r revocationSurvey) present() crls {
	lists := crls{}
	for _, list := range r.all {
		if list.der != nil {
			lists[list.Root] = list.der
		}
	}
	return lists
}

// revocations returns the ledger's revocations of certificates below a root that have not
// expired. Which authority signed one does not matter: etcd compares serial numbers alone.
func revocations(entries []Entry, names map[string]bool, now time.Time) []Entry {
	var revoked []Entry
	for _, e := range entries {
		if e.Event == EventRevoke && names[e.Name] && now.Before(e.NotAfter) {
			revoked = append(revoked, e)
		}
	}
	return revoked
}

// namesBelow returns the names of the authorities and leaves whose certificates a root vouches for.
func (p Plan) namesBelow(root string) map[string]bool {
	names := map[string]bool{}
	for _, a := range p.Authorities {
		if a.Issuer == root || names[a.Issuer] {
			names[a.Name] = true
		}
	}
	for _, b := range p.Bundles {
		for _, l := range b.Leaves {
			if l.Root == root {
				names[l.Name] = true
			}
		}
	}
	return names
}

// surveyLists finds the lists that must be signed: those that lack a revocation, or that
// are wanted and not there, or whose NextUpdate is near. etcd does not look at that date;
// others do.
func (s *Store) surveyLists(o outlook) (revocationSurvey, error) {
	plan, now := o.plan, o.now
	var found revocationSurvey
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return found, err
	}
	var faults []error
	for _, list := range plan.Lists {
		work := crlWork{RevocationList: list, entries: revocations(entries, everNamedBelow(entries, plan, list.Root), now)}
		signer := plan.authority(list.Signer)
		at := filepath.Join(s.Dir, filepath.FromSlash(signer.Path()), crlName)
		work.der, err = durable.ReadFile(at, maxPEMSize)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			work.stale, work.reason = plan.CRL || len(work.entries) > 0, "new"
		case err != nil:
			faults = append(faults, err)
		default:
			work.reason, work.stale = work.whyStale(o)
		}
		if work.stale {
			found.steps = append(found.steps, Step{
				Action: ActionSign, Name: list.Root + "/crl", Role: RoleCRL, Path: signer.Path(), File: crlName,
				Detail: fmt.Sprintf("%d certificates revoked; %s", len(work.entries), work.reason),
			})
		}
		found.all = append(found.all, work)
	}
	present := found.present()
	for _, b := range plan.Bundles {
		if len(b.CRLs) == 0 {
			continue
		}
		files, err := s.filesAt(b.Path)
		faults = append(faults, err)
		if files == nil {
			continue
		}
		for _, f := range crlChanges(b, files, present) {
			found.copies = true
			found.steps = append(found.steps, Step{Action: ActionSign, Name: b.Path + "/" + f.Name, Role: RoleCRL, Path: b.Path, File: f.Name, Detail: "the list as it is now"})
		}
	}
	return found, errors.Join(faults...)
}

// everNamedBelow returns all names below a root, those that the spec no longer has included.
func everNamedBelow(entries []Entry, plan Plan, root string) map[string]bool {
	names := plan.namesBelow(root)
	var roots []string
	for _, e := range entries {
		if e.Name == root && e.Role == RoleCA {
			roots = append(roots, e.SKID)
		}
	}
	issuers := roots
	for _, e := range entries {
		if slices.Contains(issuers, e.IssuerKID) {
			names[e.Name] = true
			if e.Role == RoleCA {
				issuers = append(issuers, e.SKID)
			}
		}
	}
	return names
}

// whyStale reports whether the list on the disk must be signed anew, and why.
func (c crlWork) whyStale(o outlook) (why string, stale bool) {
	signer := o.cas[c.Signer]
	list, err := x509.ParseRevocationList(c.der)
	if err != nil {
		return "it is damaged", true
	}
	if signer == nil || o.replaced[c.Signer] || list.CheckSignatureFrom(signer.cert) != nil {
		return "its signer was replaced", true
	}
	listed := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		listed[SerialString(e.SerialNumber)] = true
	}
	for _, e := range c.entries {
		if !listed[e.Serial] {
			return "it lacks " + e.Serial, true
		}
	}
	// A list that ends with its signer gets no later end by being signed again.
	near := list.NextUpdate.Sub(o.now) <= list.NextUpdate.Sub(list.ThisUpdate)/3
	signerEnd := o.caEnd(c.Signer)
	if near && !isCut(list.NextUpdate, nextUpdate(signerEnd, o.plan.LeafLifetime, o.now), signerEnd) {
		return "its next update is near", true
	}
	return "", false
}

// nextUpdate returns when a list that is signed now wants to be followed by another.
func nextUpdate(signerEnd time.Time, lifetime time.Duration, now time.Time) time.Time {
	return earlier(now.Add(lifetime), signerEnd).UTC().Truncate(time.Second)
}

// sign makes the list in DER. Its number is that of the ledger's line which records it, and so
// grows and is never used twice.
func (c crlWork) sign(signer *ca, number int64, lifetime time.Duration, now time.Time) ([]byte, error) {
	if signer.cert.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, fmt.Errorf("signing the revocation list of %s: %q may sign none: its key usage has no cRLSign, as in every CA that kubeadm makes; rotate it", c.Root, signer.cert.Subject.CommonName)
	}
	template := &x509.RevocationList{
		Number:     big.NewInt(number),
		ThisUpdate: now.Add(-backdate).UTC(),
		NextUpdate: nextUpdate(signer.cert.NotAfter, lifetime, now),
	}
	for _, e := range c.entries {
		serial, ok := new(big.Int).SetString(e.Serial, 16)
		if !ok {
			return nil, fmt.Errorf("signing the revocation list of %s: the ledger has %q for a serial number", c.Root, e.Serial)
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: e.Time, ReasonCode: reasonCode(e.Reason),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, signer.cert, signer.key)
	if err != nil {
		return nil, fmt.Errorf("signing the revocation list of %s: %w", c.Root, err)
	}
	list, err := x509.ParseRevocationList(der)
	if err == nil {
		err = list.CheckSignatureFrom(signer.cert)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying the revocation list of %s before its release: %w", c.Root, err)
	}
	return der, nil
}

// entry returns the ledger's line about the list.
func (c crlWork) entry(signer *ca, number int64, lifetime time.Duration, specHash string, now time.Time) Entry {
	return Entry{
		Time: now.UTC().Truncate(time.Second), Event: EventCRL, Reason: c.reason,
		Name: c.Root + "/crl", Role: RoleCRL, Subject: signer.cert.Subject.CommonName,
		Serial: fmt.Sprintf("%x", number), NotBefore: now.Add(-backdate).UTC().Truncate(time.Second),
		NotAfter: nextUpdate(signer.cert.NotAfter, lifetime, now),
		SKID:     hex.EncodeToString(signer.cert.SubjectKeyId), SpecHash: specHash,
	}
}

// crlFiles returns the files of a list in its authority's folder.
func crlFiles(der []byte) []durable.File {
	return []durable.File{
		{Name: crlName, Mode: 0o644, Data: der},
		{Name: crlPEMName, Mode: 0o644, Data: pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})},
	}
}

// crlChanges returns the lists that a bundle lacks or has in another form. A bundle gets
// them where its etcd reads them, and where one was there before.
func crlChanges(b Bundle, has []durable.File, lists crls) []durable.File {
	var changed []durable.File
	for _, f := range b.CRLs {
		at := slices.IndexFunc(has, func(h durable.File) bool { return h.Name == f.Name })
		if der := lists[f.Root]; der != nil && (at < 0 || !bytes.Equal(has[at].Data, der)) {
			changed = append(changed, durable.File{Name: f.Name, Mode: 0o644, Data: der})
		}
	}
	return changed
}
