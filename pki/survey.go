package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
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
	reasonImport   signReason = "import"
)

// Survey tells what must be signed so that a store matches its [Plan]. It is derived from the store
// anew each time, so the next run finishes a run that was killed. A survey never changes.
type Survey struct {
	Steps []Step

	plan    Plan
	cas     authorities           // those in the store
	certify map[string]signReason // the authorities that get a certificate
	protect map[string]bool       // the roots whose plain key must be removed
	leaves  map[string]leafWork   // the leaves that get a certificate
	lists   revocationSurvey
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
// or issuer, for a key without its certificate, and for an expired authority unless the renewal
// includes authorities.
func (s *Store) Survey(ctx context.Context, plan Plan, now time.Time, renewal Renewal) (*Survey, error) {
	if err := s.checkLost(plan); err != nil {
		return nil, err
	}
	cas, err := s.loadAuthorities(plan)
	w := &Survey{plan: plan, cas: cas, certify: map[string]signReason{}, protect: map[string]bool{}}
	if err := errors.Join(err, w.surveyAuthorities(now, renewal, s.RootKeys)); err != nil {
		return nil, err
	}
	if err := s.checkRenewal(renewal, plan); err != nil {
		return nil, err
	}
	found, err := s.surveyLeaves(plan, cas, now, renewal)
	if err != nil {
		return nil, err
	}
	w.leaves = found.work
	for i := range w.Steps {
		w.extend(&w.Steps[i])
	}
	if w.lists, err = s.surveyLists(plan, cas, now); err != nil {
		return nil, err
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
			faults = append(faults, fmt.Errorf("%s/ca.crt is missing, but %s was issued below it; restore it: with a new one, members and clients would refuse each other", filepath.Join(s.Dir, filepath.FromSlash(a.Path())), below))
		}
	}
	return errors.Join(faults...)
}

// surveyAuthorities makes the step of each authority, only by its own certificate.
func (w *Survey) surveyAuthorities(now time.Time, renewal Renewal, keys RootKeys) error {
	var faults []error
	for _, a := range w.plan.Authorities {
		loaded := w.cas[a.Name]
		step, reason, err := surveyAuthority(a, loaded, now, renewal)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if reason != "" {
			w.certify[a.Name] = reason
		}
		if keys.protects(a, loaded, reason != "", &step) {
			w.protect[a.Name] = true
		}
		w.Steps = append(w.Steps, step)
	}
	return errors.Join(faults...)
}

// surveyAuthority returns the step for an authority, and the reason for its new certificate; empty
// if it gets none.
func surveyAuthority(a Authority, loaded *ca, now time.Time, renewal Renewal) (Step, signReason, error) {
	step := Step{Action: ActionKeep, Name: a.Name, Role: RoleCA, Path: a.Path(), File: caCertName}
	if loaded == nil {
		step.Action, step.Detail = ActionIssue, fmt.Sprintf("%s, %s", describeIssuer(a), formatDays(a.Lifetime))
		return step, reasonNew, nil
	}
	expired := now.After(loaded.cert.NotAfter)
	issuing := issuingDeviations(a, loaded.cert)
	switch dates := errors.Join(caDates(loaded.cert, now)...); {
	case renewal.Authorities && (expired || Due(loaded.cert, now)):
		step.Action = ActionRenew
		step.Detail = fmt.Sprintf("%s; same key, %s", describeEnd(loaded.cert.NotAfter, now), formatDays(a.Lifetime))
		return step, reasonRenewed, nil
	case renewal.Authorities && !a.isRoot() && len(issuing) > 0:
		step.Action, step.Detail = ActionRenew, joinFaults(issuing)+"; same key"
		return step, reasonDeviates, nil
	case expired:
		return step, "", fmt.Errorf("%s/%s: %w; `etcdsec pki recover` issues it and everything below it anew", a.Path(), caCertName, dates)
	case dates != nil:
		return step, "", fmt.Errorf("%s/%s: %w; is this machine's clock right?", a.Path(), caCertName, dates)
	}
	if deviations := caDeviations(a, loaded.cert); len(deviations) > 0 {
		step.Action, step.Detail = ActionDue, joinFaults(deviations)
	}
	return step, "", nil
}

// issuingDeviations returns how an issuing CA differs from the plan. Name constraints that are too
// wide, as after a member left the spec, are a difference too.
func issuingDeviations(a Authority, cert *x509.Certificate) []error {
	return append(caDeviations(a, cert), constraintDeviations(a, cert)...)
}

// extend gives an issuing CA wider constraints if it must sign names that they do not cover.
func (w *Survey) extend(step *Step) {
	loaded := w.cas[step.Name]
	if _, certified := w.certify[step.Name]; certified || step.Role != RoleCA || loaded == nil {
		return
	}
	for l := range w.plan.leaves() {
		if _, signed := w.leaves[l.Name]; signed && l.Issuer == step.Name && !constraintsCover(loaded.cert, l.Names) {
			w.certify[step.Name] = reasonNames
			step.Action = ActionExtend
			step.Detail = fmt.Sprintf("name constraints to cover %s; same key", l.Name)
			return
		}
	}
}

// fetchKeys returns the authorities with all keys that this run needs, including those that are not
// plain files. If a key is missing, it fails before anything is made.
func (s *Store) fetchKeys(ctx context.Context, w *Survey) (authorities, error) {
	with := maps.Clone(w.cas)
	var faults []error
	for _, a := range w.plan.Authorities {
		c, first := w.cas[a.Name], w.firstToSign(a, s.Remote != nil)
		if c == nil || c.key != nil || first == "" {
			continue
		}
		key, err := s.fetchKey(ctx, a, c.cert)
		if err != nil {
			faults = append(faults, fmt.Errorf("%w, but it must sign %s; bring the key back for this run", err, first))
		}
		with[a.Name] = &ca{Authority: a, cert: c.cert, key: key}
	}
	return with, errors.Join(faults...)
}

// firstToSign returns the name of the first thing that an authority must sign, which can be itself;
// empty if there is none. remote means that another CA signs leaves.
func (w *Survey) firstToSign(by Authority, remote bool) string {
	for _, a := range w.plan.Authorities {
		if _, certified := w.certify[a.Name]; certified && (a.Issuer == by.Name || a.Issuer == "" && a.Name == by.Name) {
			return a.Name
		}
	}
	for l := range w.plan.leaves() {
		if _, signed := w.leaves[l.Name]; signed && l.Issuer == by.Name && !remote {
			return l.Name
		}
	}
	for _, list := range w.lists.all {
		if list.Signer == by.Name && list.stale {
			return "the revocation list of " + list.Root
		}
	}
	return ""
}

// joinFaults joins several faults into one line.
func joinFaults(faults []error) string {
	texts := make([]string, 0, len(faults))
	for _, fault := range faults {
		texts = append(texts, fault.Error())
	}
	return strings.Join(texts, "; ")
}

func describeIssuer(a Authority) string {
	if a.Issuer == "" {
		return "self-signed root"
	}
	return "signed by " + a.Issuer
}

func formatDays(d time.Duration) string { return fmt.Sprintf("%d days", int(d.Hours()/24)) }
