package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
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

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// The files of an authority's revocation list. etcd 3.6 and later read only DER, and 3.5 reads
// both (etcd-io/etcd#17106), so members get DER. PEM is for all others.
const (
	crlName    = "ca.crl"
	crlPEMName = "ca.crl.pem"
)

// RevocationList is one CRL of the [Plan]. Each root that a port trusts has one.
type RevocationList struct {
	Root   string // the root of the certificates that it lists
	Signer string // the authority that signs it
}

// RevocationFile is a CRL and the name of the file from which etcd loads it.
type RevocationFile struct {
	Name, Root string
	Signer     string // the authority that signs it
	// SignerFile is the name of the file of the signer's certificate, without which nobody could verify the
	// list on a node: the leaves there are below other CAs. It is empty if the root itself signs.
	SignerFile string
	Required   bool // whether the members read it
}

// newRevocationFile returns the file of a list that an authority signs.
func newRevocationFile(name, root, signer string, required bool) RevocationFile {
	f := RevocationFile{Name: name, Root: root, Signer: signer, Required: required}
	if signer != root {
		f.SignerFile = cluster.SignerFile(name)
	}
	return f
}

// crlWork is a revocation list and why it must be signed, if it must.
type crlWork struct {
	RevocationList
	entries []Entry // its revocations
	der     []byte  // the list on disk; nil if there is none
	// obstacle tells, in words, why the signer cannot sign the list; empty if it can.
	obstacle string
	stale    bool   // whether it must be signed
	reason   string // why, for the ledger
}

// revocationSurvey tells which lists to sign, and whether a bundle lacks a list.
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

// crls maps roots to their revocation lists in DER.
type crls map[string][]byte

// listsOnDisk returns the lists that are on disk.
func (r revocationSurvey) listsOnDisk() crls {
	lists := crls{}
	for _, list := range r.all {
		if list.der != nil {
			lists[list.Root] = list.der
		}
	}
	return lists
}

// revocations returns the ledger's revocations of certificates of some holders that have not expired, each
// certificate once, with the last reason that was given.
//
// It does not matter which authority signed them. A member reads one list for each root, compares
// nothing but serial numbers with it, and does so for every certificate of the chain that it is shown
// (checkCRL in etcd's client/pkg/transport/listener_tls.go). A revoked certificate of an issuing CA
// that was replaced verifies below the root until it ends. So the list of the new issuing CA must have
// it until then: no other list that a member reads could. RFC 5280 would want it in a list of the
// former CA, whose key is gone. Serial numbers are random, so no certificate of the new CA has one of
// the former CA. For programs that do compare issuers, the entry has no meaning and does no harm.
func revocations(entries []Entry, below map[certificateHolder]bool, now time.Time) []Entry {
	var revoked []Entry
	places := map[string]int{}
	for _, e := range entries {
		if e.Event != EventRevoke || !below[e.holder()] || !now.Before(e.NotAfter) {
			continue
		}
		if at, before := places[e.revocationKey()]; before {
			revoked[at] = e
			continue
		}
		places[e.revocationKey()] = len(revoked)
		revoked = append(revoked, e)
	}
	return revoked
}

// below returns the authorities and leaves whose certificates verify below a root.
func (p Plan) below(root string) map[certificateHolder]bool {
	below := map[certificateHolder]bool{}
	for _, a := range p.Authorities {
		if a.Issuer == root || below[certificateHolder{authority: a.Issuer}] {
			below[certificateHolder{authority: a.Name}] = true
		}
	}
	for l := range p.leaves() {
		if l.Root == root {
			below[holderOf(l)] = true
		}
	}
	return below
}

// surveyLists finds the lists that must be signed, because they lack a revocation, do not exist, or
// their NextUpdate is near. etcd does not check that date, but other programs do.
func (s *Store) surveyLists(o outlook, entries []Entry) (revocationSurvey, error) {
	plan, now := o.plan, o.now
	var found revocationSurvey
	var faults []error
	for _, list := range plan.Lists {
		var err error
		work := crlWork{RevocationList: list, entries: revocations(entries, everBelow(entries, plan, list.Root), now)}
		signer := plan.authority(list.Signer)
		at := filepath.Join(s.Dir, filepath.FromSlash(signer.Path()), crlName)
		work.der, err = durable.ReadFile(at, maxPEMSize)
		if _, certified := o.certify[list.Signer]; !certified && o.cas[list.Signer] != nil {
			work.obstacle = listObstacle(o.cas[list.Signer].cert)
		}
		switch {
		case work.obstacle != "" && !plan.CRL: // no member reads the list, so it must stop nothing else
			work.der = nil // whatever it is, its signer did not sign it
		case errors.Is(err, fs.ErrNotExist):
			work.stale, work.reason = plan.CRL || len(work.entries) > 0, "new"
		case err != nil:
			faults = append(faults, err)
		default:
			work.reason, work.stale = work.staleReason(o)
		}
		if work.stale {
			found.steps = append(found.steps, Step{
				Action: ActionSign, Name: list.Root + "/crl", Role: RoleCRL, Path: signer.Path(), File: crlName,
				Detail: fmt.Sprintf("%d certificates revoked; %s", len(work.entries), work.reason),
			})
		}
		found.all = append(found.all, work)
	}
	present := found.listsOnDisk()
	for _, b := range plan.Bundles {
		if len(b.CRLs) == 0 {
			continue
		}
		files, err := s.filesAt(b.Path)
		faults = append(faults, err)
		if files == nil {
			continue
		}
		for _, f := range crlChanges(b, files, present, o.cas) {
			found.copies = true
			step := Step{Action: ActionSign, Name: b.Path + "/" + f.Name, Role: RoleCRL, Path: b.Path, File: f.Name, Detail: "the current list"}
			if slices.ContainsFunc(b.CRLs, func(list RevocationFile) bool { return list.SignerFile == f.Name }) {
				step.Detail = "the CA that signs the list"
			}
			found.steps = append(found.steps, step)
		}
	}
	return found, errors.Join(faults...)
}

// everBelow returns all holders of certificates below a root, including those that the spec no longer
// has.
func everBelow(entries []Entry, plan Plan, root string) map[certificateHolder]bool {
	below := plan.below(root)
	below[certificateHolder{authority: root + "/crl"}] = true // what only a list knew
	issuers := map[string]bool{}                              // by their subject key IDs; another tool's CA may have none
	for _, e := range entries {
		if e.Name == root && e.Role == RoleCA {
			issuers[e.SKID] = true
		}
	}
	for _, e := range entries {
		if e.isCertificate() && issuers[e.IssuerKID] {
			below[e.holder()] = true
			if e.Role == RoleCA {
				issuers[e.SKID] = true
			}
		}
	}
	return below
}

// staleReason reports whether the list on disk must be signed anew, and why.
func (c crlWork) staleReason(o outlook) (reason string, stale bool) {
	signer := o.cas[c.Signer]
	list, err := x509.ParseRevocationList(c.der)
	if err != nil {
		return "it is damaged", true
	}
	if signer == nil || o.replaced[c.Signer] || list.CheckSignatureFrom(signer.cert) != nil {
		return "its signer was replaced", true
	}
	listed := map[string]int{} // reason codes
	for _, e := range list.RevokedCertificateEntries {
		listed[SerialString(e.SerialNumber)] = e.ReasonCode
	}
	for _, e := range c.entries {
		code, there := listed[e.Serial]
		if !there {
			return "it lacks " + e.Serial, true
		}
		if code != reasonCode(e.Reason) {
			return "it has another reason for " + e.Serial, true
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

// nextUpdate returns the NextUpdate of a list that is signed now.
func nextUpdate(signerEnd time.Time, lifetime time.Duration, now time.Time) time.Time {
	return minTime(now.Add(lifetime), signerEnd).UTC().Truncate(time.Second)
}

// sign makes the list in DER. Its number is greater than that of every list before.
func (c crlWork) sign(signer *ca, number *big.Int, lifetime time.Duration, now time.Time) ([]byte, error) {
	if obstacle := listObstacle(signer.cert); obstacle != "" {
		return nil, fmt.Errorf("signing the revocation list of %s: %s", c.Root, obstacle)
	}
	template := &x509.RevocationList{
		Number:     number,
		ThisUpdate: now.Add(-backdate).UTC(),
		NextUpdate: nextUpdate(signer.cert.NotAfter, lifetime, now),
	}
	for _, e := range c.entries {
		serial, ok := new(big.Int).SetString(e.Serial, 16)
		if !ok {
			return nil, fmt.Errorf("signing the revocation list of %s: the ledger has the invalid serial number %q", c.Root, e.Serial)
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: e.Time, ReasonCode: reasonCode(e.Reason),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, asListSigner(signer.cert), signer.key)
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

// listObstacle tells, in words, why a CA can sign no revocation list; empty if it can. One without key
// usages may do everything (RFC 5280, 4.2.1.3).
func listObstacle(ca *x509.Certificate) string {
	if ca.KeyUsage == 0 || ca.KeyUsage&x509.KeyUsageCRLSign != 0 {
		return ""
	}
	return fmt.Sprintf("the key usage of %q lacks cRLSign, as in every CA that kubeadm makes, so it can sign no list; replace the CA", nameOf(ca))
}

// asListSigner returns the certificate of a CA as [x509.CreateRevocationList] wants it: with a key usage
// and a key ID, which a CA of another tool may lack (RFC 7093, 2, method 1).
func asListSigner(cert *x509.Certificate) *x509.Certificate {
	signer := *cert
	signer.KeyUsage |= x509.KeyUsageCRLSign
	if len(signer.SubjectKeyId) == 0 {
		sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
		signer.SubjectKeyId = sum[:20]
	}
	return &signer
}

// entry returns the ledger's line about the list.
func (c crlWork) entry(signer *ca, number *big.Int, lifetime time.Duration, specHash string, now time.Time) Entry {
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

// crlChanges returns the lists that a bundle lacks, or has with other content, and the certificates of their
// signers.
func crlChanges(b Bundle, has []durable.File, lists crls, signers authorities) []durable.File {
	var changed []durable.File
	want := func(name string, data []byte) {
		at := slices.IndexFunc(has, func(h durable.File) bool { return h.Name == name })
		if at < 0 || !bytes.Equal(has[at].Data, data) {
			changed = append(changed, durable.File{Name: name, Mode: 0o644, Data: data})
		}
	}
	for _, f := range b.CRLs {
		der := lists[f.Root]
		if der == nil {
			continue
		}
		want(f.Name, der)
		if signer := signers[f.Signer]; f.SignerFile != "" && signer != nil {
			want(f.SignerFile, encodeCertificates(signer.cert))
		}
	}
	return changed
}
