package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
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
	ActionRenew  Action = "renew" // a new certificate, for the same key unless a new one was asked for
	ActionKeep   Action = "keep"  // it is there and as planned
	ActionSign   Action = "sign"  // a revocation list
	// ActionProtect encrypts or destroys the plain key of a root.
	ActionProtect Action = "protect"
	// ActionDue marks a certificate that is there and not as planned, and that this run
	// leaves as it is.
	ActionDue    Action = "due"
	ActionWrite  Action = "write"  // a file that is not there
	ActionUpdate Action = "update" // a file that differs
)

// Step says what a run does, or did, about one certificate or file.
type Step struct {
	Action Action `json:"action"`
	Name   string `json:"name"`
	Role   string `json:"role,omitempty"` // RoleCA, or a leaf's role
	Path   string `json:"path"`           // of its bundle in the store
	File   string `json:"file,omitempty"` // of the certificate in the bundle
	Detail string `json:"detail,omitempty"`
	// Remedy says how a certificate that is due is renewed, where this run could not; else nil.
	Remedy *Remedy `json:"remedy,omitempty"`

	expired bool // an authority that had ended
}

// signReason is the ledger's word for why a certificate was signed.
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
)

// Survey says what a store needs to become what a plan says. It is derived from the store
// anew each time, so a run that was killed is finished by the next one. Nothing changes a
// survey once it is made.
type Survey struct {
	Steps []Step
	// Faults say why an authority that is due is left as it is though its signer's key should be
	// at hand: a program failed, or what was given opens no key. The rest of the run is not
	// concerned.
	Faults []error

	plan     Plan
	now      time.Time
	cas      authorities              // as the store has them
	certify  map[string]signReason    // the authorities that get a certificate
	replaced map[string]bool          // those of them that had another key before
	opened   map[string]crypto.Signer // keys of authorities that are not plain files
	closed   map[string]error         // why the others could not be opened
	told     map[string]bool          // those of them that Faults has
	protect  map[string]bool          // the roots whose plain key is to go
	leaves   map[string]leafWork      // the leaves that get a certificate
	lists    revocationSurvey
}

// outlook returns the ends of what this run makes, as far as it was decided.
func (w *Survey) outlook() outlook {
	return outlook{plan: w.plan, cas: w.cas, now: w.now, certify: w.certify, replaced: w.replaced}
}

// authorities are loaded authorities by name. One that was not issued yet is missing.
type authorities map[string]*ca

// leafWork is a leaf to be signed.
type leafWork struct {
	reason signReason
	state  leafState // what is there; empty for a leaf that is new
	newKey bool
	csr    *x509.CertificateRequest // for a key that is elsewhere
}

// Due reports whether the plan and the store disagree in a way that this run does not mend.
func (w *Survey) Due() bool {
	return slices.ContainsFunc(w.Steps, func(s Step) bool { return s.Action == ActionDue })
}

// Nothing reports whether there is nothing to sign or to bring to a bundle.
func (w *Survey) Nothing() bool { return w.count() == 0 && !w.lists.copies && len(w.protect) == 0 }

// count returns the number of signatures to make.
func (w *Survey) count() int { return len(w.certify) + len(w.leaves) + w.lists.count() }

// Survey compares the store with the plan and says what issuing, and the renewal that was
// asked for, would do. It changes nothing. A damaged or mismatched authority is an error,
// and an expired one that this run does not renew; so is a key without its certificate.
func (s *Store) Survey(ctx context.Context, plan Plan, now time.Time, renewal Renewal) (*Survey, error) {
	if err := s.checkLost(plan); err != nil {
		return nil, err
	}
	cas, err := s.loadAuthorities(plan)
	w := &Survey{
		plan: plan, now: now, cas: cas,
		certify: map[string]signReason{}, replaced: map[string]bool{}, opened: map[string]crypto.Signer{}, closed: map[string]error{}, told: map[string]bool{}, protect: map[string]bool{},
	}
	if err := errors.Join(err, s.surveyAuthorities(ctx, w, renewal)); err != nil {
		return nil, err
	}
	if err := s.checkRenewal(renewal, plan); err != nil {
		return nil, err
	}
	found, err := s.surveyLeaves(ctx, w, renewal)
	if err != nil {
		return nil, err
	}
	w.leaves = found.work
	for i := range w.Steps {
		w.extend(&w.Steps[i])
	}
	if w.lists, err = s.surveyLists(w.outlook()); err != nil {
		return nil, err
	}
	w.Steps = slices.Concat(w.Steps, found.steps, w.lists.steps)
	if w.cas, err = s.fetchKeys(ctx, w); err != nil {
		return nil, err
	}
	return w, nil
}

// checkLost refuses a store that has lost an authority. Making a new one in its place
// would be a new PKI, whose certificates no running member accepts. A run that was killed
// never leaves this behind, because it writes each authority before what is below it.
func (s *Store) checkLost(plan Plan) error {
	there := func(relative string) bool {
		_, err := os.Stat(filepath.Join(s.Dir, filepath.FromSlash(relative)))
		return err == nil
	}
	var faults []error
	for _, a := range plan.Authorities {
		if there(a.Path() + "/ca.crt") {
			continue
		}
		if below := plan.firstBelow(a.Name, there); below != "" {
			faults = append(faults, fmt.Errorf("%s/ca.crt is gone, and %s was issued below it; put it back: with a new one, members and clients would refuse each other", filepath.Join(s.Dir, filepath.FromSlash(a.Path())), below))
		}
	}
	return errors.Join(faults...)
}

// joinFaults puts several faults into one line.
func joinFaults(faults []error) string {
	texts := make([]string, 0, len(faults))
	for _, fault := range faults {
		texts = append(texts, fault.Error())
	}
	return strings.Join(texts, "; ")
}
