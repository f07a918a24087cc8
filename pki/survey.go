package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Action names what a step of a run does.
type Action string

// The actions.
const (
	ActionIssue Action = "issue" // a new key and certificate
	// ActionExtend gives an issuing CA a new certificate for the key it has, because its
	// name constraints do not cover a member that the spec gained.
	ActionExtend Action = "extend"
	ActionRenew  Action = "renew" // a new certificate, for the same key unless a new key was asked for
	ActionKeep   Action = "keep"  // it exists and matches the plan
	ActionSign   Action = "sign"  // a revocation list
	// ActionProtect encrypts or destroys the plain key of a root.
	ActionProtect Action = "protect"
	// ActionDue marks a certificate that differs from the plan and that this run does not change.
	ActionDue    Action = "due"
	ActionWrite  Action = "write"  // a file that does not exist
	ActionUpdate Action = "update" // a file that differs
)

// Step tells what a run does, or did, with one certificate or file.
type Step struct {
	Action Action `json:"action"`
	Name   string `json:"name"`
	Role   string `json:"role,omitempty"` // RoleCA, or a leaf's role
	Path   string `json:"path"`           // of its bundle in the store
	File   string `json:"file,omitempty"` // of the certificate in the bundle
	Detail string `json:"detail,omitempty"`
	// Remedy tells how to renew a certificate that is due if this run could not; otherwise it is nil.
	Remedy *Remedy `json:"remedy,omitempty"`

	expired bool // an authority that had ended
}

// signReason is the ledger's reason for a signature.
type signReason string

const (
	reasonNew      signReason = "new"
	reasonCSR      signReason = "csr"
	reasonDue      signReason = "due"
	reasonAsked    signReason = "asked for"
	reasonDeviates signReason = "not as planned"
	reasonNames    signReason = "names changed"
	reasonRenewed  signReason = "renewed"
	reasonIssuer   signReason = "issuer replaced"
	reasonImport   signReason = "import"
	reasonRevoked  signReason = "revoked"
	reasonFound    signReason = "found in the store" // by [Store.Reconcile]
)

// Survey tells what must be signed so that a store matches its [Plan]. It is derived from the store
// anew each time, so the next run finishes a run that was killed. A survey never changes.
type Survey struct {
	Steps []Step
	// Faults tell why certificates that are due could not be renewed although the key should have
	// been available: a program failed, or the given identity or passphrase opens no key. The rest
	// of the run is not affected.
	Faults []error

	plan     Plan
	now      time.Time
	record   revocationRecord         // what the ledger says about revocations
	cas      authorities              // those in the store
	certify  map[string]signReason    // the authorities that get a certificate
	replaced map[string]bool          // those of them that get a new key
	opened   map[string]crypto.Signer // keys of authorities that are not plain files
	closed   map[string]error         // why the other keys could not be opened
	told     map[string]bool          // the authorities of closed that Faults has
	protect  map[string]bool          // the roots whose plain key must be removed
	leaves   map[LeafID]leafWork      // the leaves that get a certificate
	lists    revocationSurvey
}

// outlook returns when the certificates end that this run makes, as far as that is decided.
func (w *Survey) outlook() outlook {
	return outlook{plan: w.plan, cas: w.cas, now: w.now, certify: w.certify, replaced: w.replaced}
}

// authorities maps names to loaded authorities. It lacks those that were not issued yet.
type authorities map[string]*ca

// leafWork tells how to sign a leaf.
type leafWork struct {
	reason signReason
	state  leafState // in the store; empty for a new leaf
	newKey bool
	csr    *x509.CertificateRequest // if the key is elsewhere
}

// Due reports whether the store differs from the plan in a way that this run does not correct.
func (w *Survey) Due() bool {
	return slices.ContainsFunc(w.Steps, func(s Step) bool { return s.Action == ActionDue })
}

// Nothing reports whether there is nothing to sign and nothing to copy to a bundle.
func (w *Survey) Nothing() bool { return w.count() == 0 && !w.lists.copies && len(w.protect) == 0 }

// count returns the number of signatures to make.
func (w *Survey) count() int { return len(w.certify) + len(w.leaves) + w.lists.count() }

// Survey compares the store with the plan, and returns what [Store.Issue] must do for the renewal.
// It changes nothing. It returns an error for an authority that is damaged or does not match its key
// or issuer, for a key without its certificate, and for an expired authority that this run does not
// renew.
func (s *Store) Survey(ctx context.Context, plan Plan, now time.Time, renewal Renewal) (*Survey, error) {
	if err := plan.Check(nil); err != nil {
		return nil, err
	}
	if err := s.checkSymlinks(); err != nil {
		return nil, err
	}
	if err := s.checkLost(plan); err != nil {
		return nil, err
	}
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return nil, err
	}
	kept, err := plan.keepImported(s.Dir)
	switch {
	case err != nil:
		return nil, err
	case !renewal.ForgetImport:
		plan = kept
	case !kept.keepsAny():
		return nil, errors.New("--forget-import drops nothing: no leaf of the store has anything from an import that the spec does not have")
	}
	cas, err := s.loadAuthorities(plan)
	if err == nil {
		err = s.checkAgreement(plan, cas, entries)
	}
	if err != nil {
		return nil, err
	}
	w := &Survey{
		plan: plan, now: now, cas: cas, record: recordOf(entries),
		certify: map[string]signReason{}, replaced: map[string]bool{}, opened: map[string]crypto.Signer{}, closed: map[string]error{}, told: map[string]bool{}, protect: map[string]bool{},
	}
	if err := s.surveyAuthorities(ctx, w, renewal); err != nil {
		return nil, err
	}
	if err := renewal.check(plan, entries, w.record); err != nil {
		return nil, err
	}
	found, err := s.surveyLeaves(ctx, w, renewal.resolved(plan))
	if err != nil {
		return nil, err
	}
	w.leaves = found.work
	for i := range w.Steps {
		w.extend(&w.Steps[i])
	}
	if w.lists, err = s.surveyLists(w.outlook(), entries); err != nil {
		return nil, err
	}
	for _, list := range w.lists.all {
		if list.stale && list.obstacle != "" {
			// Before anything is written: the store would keep a spec that no run can fulfil.
			return nil, fmt.Errorf("spec.pki.crl is true, but %s, or set spec.pki.crl: false", list.obstacle)
		}
	}
	w.Steps = slices.Concat(w.Steps, found.steps, w.lists.steps)
	if w.cas, err = s.fetchKeys(ctx, w); err != nil {
		return nil, err
	}
	return w, nil
}

// checkLost refuses a store that has lost an authority. A new one instead of it would be a new PKI,
// whose certificates no running member accepts. A run that was killed never leaves such a store,
// because it writes each authority before everything below it.
func (s *Store) checkLost(plan Plan) error {
	var faults []error
	there := func(relative string) bool {
		_, err := os.Stat(filepath.Join(s.Dir, filepath.FromSlash(relative)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
		return err == nil
	}
	for _, a := range plan.Authorities {
		if there(a.Path()+"/ca.crt") || len(faults) > 0 {
			continue // what cannot be looked at is not lost
		}
		if below := plan.firstBelow(a.Name, there); below != "" {
			faults = append(faults, fmt.Errorf("%s/ca.crt is missing, but %s was issued below it; restore it: with a new one, members and clients would refuse each other", filepath.Join(s.Dir, filepath.FromSlash(a.Path())), below))
		}
	}
	return errors.Join(faults...)
}

// joinFaults joins several faults into one line.
func joinFaults(faults []error) string {
	texts := make([]string, 0, len(faults))
	for _, fault := range faults {
		texts = append(texts, fault.Error())
	}
	return strings.Join(texts, "; ")
}
