package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Action is what a step of issuing or renewing does.
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
	// ActionDue is a certificate that is there and not as planned, and that this run leaves
	// as it is.
	ActionDue Action = "due"
)

// Step is what a run does, or did, about one certificate.
type Step struct {
	Action Action
	Name   string
	Role   string // ca, or a leaf's role
	Path   string // of its bundle in the store
	File   string // of the certificate in the bundle
	Detail string
}

// Work is what a store needs to become what a plan says. It is derived from the store
// anew each time, so a run that was killed is finished by the next one.
type Work struct {
	Steps []Step

	plan    Plan
	cas     map[string]*ca       // by name; nil where it has to be issued
	certify map[string]string    // authorities that get a certificate, and the ledger's reason
	protect map[string]bool      // roots whose plain key is to go
	leaves  map[string]*leafWork // likewise
	lists   []*crlWork
	remote  *Remote // signs the leaves in place of the store's keys
	// copyLists says that some bundle lacks a revocation list that is there.
	copyLists bool
}

// leafWork is one leaf to be signed.
type leafWork struct {
	reason string
	state  leafState // what is there; empty for a leaf that is new
	newKey bool
	csr    *x509.CertificateRequest // for a key that is elsewhere
}

func (w *Work) sign(l Leaf, reason string, state leafState, renewal Renewal) {
	csr := renewal.Requests[l.Name]
	w.leaves[l.Name] = &leafWork{
		reason: reason, state: state, csr: csr,
		newKey: csr == nil && (renewal.NewKey || state.chain == nil),
	}
}

// Due says whether the plan and the store disagree in a way that this run does not mend.
func (w *Work) Due() bool {
	for _, s := range w.Steps {
		if s.Action == ActionDue {
			return true
		}
	}
	return false
}

// Nothing says whether there is nothing to sign or to bring to a bundle.
func (w *Work) Nothing() bool { return w.count() == 0 && !w.copyLists && len(w.protect) == 0 }

// count is the number of signatures to make.
func (w *Work) count() int {
	n := len(w.certify) + len(w.leaves)
	for _, list := range w.lists {
		if list.reason != "" {
			n++
		}
	}
	return n
}

// Survey compares the store with the plan and says what issuing, and the renewal that was
// asked for, would do. It changes nothing. A damaged or mismatched authority is an error,
// and an expired one unless authorities are to be renewed; so is a key without its certificate.
func (s *Store) Survey(ctx context.Context, plan Plan, now time.Time, renewal Renewal) (*Work, error) {
	w := &Work{plan: plan, cas: map[string]*ca{}, certify: map[string]string{}, protect: map[string]bool{}, leaves: map[string]*leafWork{}, remote: s.Remote}
	if err := s.checkLost(plan); err != nil {
		return nil, err
	}
	var faults []error
	for _, a := range plan.Authorities {
		loaded, err := s.loadCA(a, w.cas[a.Issuer])
		if err == nil {
			err = s.surveyCA(w, a, loaded, now, renewal)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		w.cas[a.Name] = loaded
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	leaves, err := s.surveyLeaves(w, now, renewal)
	if err != nil {
		return nil, err
	}
	for i := range w.Steps {
		w.extend(&w.Steps[i])
	}
	w.Steps = append(w.Steps, leaves...)
	if err := s.surveyCRLs(w, now); err != nil {
		return nil, err
	}
	return w, s.checkKeys(ctx, w)
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

// surveyCA decides about an authority from its certificate alone.
func (s *Store) surveyCA(w *Work, a Authority, loaded *ca, now time.Time, renewal Renewal) error {
	step := Step{Action: ActionKeep, Name: a.Name, Role: "ca", Path: a.Path(), File: caCertName}
	defer func() {
		s.protect(w, a, loaded, &step)
		w.Steps = append(w.Steps, step)
	}()
	if loaded == nil {
		w.certify[a.Name] = "new"
		step.Action, step.Detail = ActionIssue, fmt.Sprintf("%s, %s", signedBy(a), days(a.Lifetime))
		return nil
	}
	expired := now.After(loaded.cert.NotAfter)
	switch dates := errors.Join(caDates(loaded.cert, now)...); {
	case renewal.Authorities && (expired || Due(loaded.cert, now)):
		w.certify[a.Name] = "renewed"
		step.Action = ActionRenew
		step.Detail = fmt.Sprintf("%s; same key, %s", untilWords(loaded.cert.NotAfter, now), days(a.Lifetime))
	case renewal.Authorities && !a.isRoot() && len(issuingDeviations(a, loaded.cert)) > 0:
		w.certify[a.Name] = "not as planned"
		step.Action = ActionRenew
		step.Detail = joinFaults(issuingDeviations(a, loaded.cert)) + "; same key"
	case expired:
		return fmt.Errorf("%s/%s: %w; `etcdsec pki recover` issues it and what is below it anew", a.Path(), caCertName, dates)
	case dates != nil:
		return fmt.Errorf("%s/%s: %w; is this machine's clock right?", a.Path(), caCertName, dates)
	default:
		if deviations := caDeviations(a, loaded.cert); len(deviations) > 0 {
			step.Action, step.Detail = ActionDue, joinFaults(deviations)
		}
	}
	return nil
}

// issuingDeviations are how an issuing CA differs from the plan, too wide constraints
// included, as of a member that left the spec.
func issuingDeviations(a Authority, cert *x509.Certificate) []error {
	return append(caDeviations(a, cert), constraintDeviations(a, cert)...)
}

// extend makes an authority that is to sign names beyond its constraints get wider ones.
func (w *Work) extend(step *Step) {
	loaded := w.cas[step.Name]
	if step.Role != "ca" || loaded == nil || w.certify[step.Name] != "" {
		return
	}
	for _, b := range w.plan.Bundles {
		for _, l := range b.Leaves {
			if l.Issuer == step.Name && w.leaves[l.Name] != nil && !constraintsCover(loaded.cert, l.Names) {
				w.certify[step.Name] = "names changed"
				step.Action = ActionExtend
				step.Detail = fmt.Sprintf("name constraints to cover %s; same key", l.Name)
				return
			}
		}
	}
}

func (s *Store) surveyLeaves(w *Work, now time.Time, renewal Renewal) ([]Step, error) {
	var steps []Step
	var faults []error
	if err := s.checkRenewal(renewal, w.plan); err != nil {
		return nil, err
	}
	for _, b := range w.plan.Bundles {
		drifted, err := s.trustDrift(b, w.cas)
		if err != nil {
			faults = append(faults, err)
		}
		for _, l := range b.Leaves {
			if renewal.ListsOnly || renewal.Requests != nil && !renewal.selects(l) {
				continue // this run is not about it, and what is wrong with it is not in the way
			}
			step := Step{Action: ActionKeep, Name: l.Name, Role: l.Role, Path: b.Path, File: l.CertFile}
			state, err := s.loadLeaf(b, l)
			switch {
			case err != nil:
				faults = append(faults, err)
			case state.chain == nil:
				if renewal.selects(l) {
					w.sign(l, renewal.newReason(), state, renewal)
					step.Action, step.Detail = ActionIssue, describeLeaf(l)
				} else {
					step.Action, step.Detail = ActionDue, "was not issued yet"
				}
			default:
				err = w.surveyLeaf(l, state, drifted, now, renewal, &step)
				faults = append(faults, err)
			}
			steps = append(steps, step)
		}
	}
	return steps, errors.Join(faults...)
}

// surveyLeaf decides about a leaf that is there.
func (w *Work) surveyLeaf(l Leaf, state leafState, drifted []string, now time.Time, renewal Renewal, step *Step) error {
	problems := w.leafProblems(l, state, now)
	if why := renewal.wants(l, state.chain, problems, now); why != "" {
		if state.key != nil && !samePublicKey(state.key.Public(), state.chain[0].PublicKey) && !renewal.NewKey && renewal.Requests == nil {
			// It may be another's: to certify it would give two holders one key.
			return fmt.Errorf("renewing %s: %s/%s is not the key of its certificate; bring the right one back, or give --new-key", l.Name, step.Path, l.KeyFile)
		}
		if renewal.NewKey && state.key == nil {
			return fmt.Errorf("renewing %s: its key is on its node only; make the new one there: etcdsec pki csr", l.Name)
		}
		w.sign(l, renewal.reason(problems), state, renewal)
		step.Action, step.Detail = ActionRenew, why
		problems = nil
	}
	for _, name := range drifted {
		problems = append(problems, fmt.Sprintf("%s beside it is not the certificate of its root", name))
	}
	switch {
	case len(problems) > 0 && step.Action == ActionKeep:
		step.Action, step.Detail = ActionDue, strings.Join(problems, "; ")
	case len(problems) > 0:
		step.Detail += "; but " + strings.Join(problems, "; ")
	case state.key == nil && step.Action == ActionKeep:
		step.Detail = "its key is not in this store"
	}
	return nil
}

// leafProblems are how a leaf differs from the plan at a point in time.
func (w *Work) leafProblems(l Leaf, state leafState, now time.Time) []string {
	var problems []string
	pub := state.chain[0].PublicKey
	if state.key != nil {
		pub = state.key.Public()
	}
	at := now
	if end := earliestEnd(state.chain); now.After(end) {
		problems = append(problems, untilWords(end, now))
		at = end // so that whatever else is wrong with it is found too
	}
	for _, fault := range verifyLeaf(l, state.chain, w.cas[l.Root].cert, pub, at) {
		problems = append(problems, fault.Error())
	}
	for i, name := range w.plan.chain(l) {
		if issuer := w.cas[name]; i+1 >= len(state.chain) || !samePublicKey(state.chain[i+1].PublicKey, issuer.cert.PublicKey) {
			problems = append(problems, fmt.Sprintf("its issuer %s was replaced", name))
		}
	}
	return problems
}

// joinFaults puts several faults into one line.
func joinFaults(faults []error) string {
	texts := make([]string, 0, len(faults))
	for _, fault := range faults {
		texts = append(texts, fault.Error())
	}
	return strings.Join(texts, "; ")
}

func signedBy(a Authority) string {
	if a.Issuer == "" {
		return "self-signed root"
	}
	return "signed by " + a.Issuer
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", int(d.Hours()/24)) }

func describeLeaf(l Leaf) string {
	d := fmt.Sprintf("CN=%s, %s, by %s", l.CommonName, strings.Join(EKUNames(l.EKUs), "+"), l.Issuer)
	if !l.Names.empty() {
		d += ", " + strings.Join(l.Names.Strings(), " ")
	}
	return d
}

// checkKeys finds out, before anything is made, whether a signing key is missing, and
// fetches those that are kept in another way than as a plain file.
func (s *Store) checkKeys(ctx context.Context, w *Work) error {
	var faults []error
	for _, a := range w.plan.Authorities {
		c, first := w.cas[a.Name], w.firstSigned(a)
		if c == nil || c.key != nil || first == "" {
			continue
		}
		key, err := s.signerOf(ctx, a, c.cert)
		if err != nil {
			faults = append(faults, fmt.Errorf("%w, and %s must be signed with it; bring the key back for this run", err, first))
		}
		c.key = key
	}
	return errors.Join(faults...)
}

// firstSigned names the first thing that an authority has to sign, itself included.
func (w *Work) firstSigned(by Authority) string {
	for _, a := range w.plan.Authorities {
		if w.certify[a.Name] != "" && (a.Issuer == by.Name || a.Issuer == "" && a.Name == by.Name) {
			return a.Name
		}
	}
	for _, b := range w.plan.Bundles {
		for _, l := range b.Leaves {
			if l.Issuer == by.Name && w.leaves[l.Name] != nil && w.remote == nil {
				return l.Name
			}
		}
	}
	for _, list := range w.lists {
		if list.Signer == by.Name && list.reason != "" {
			return "the revocation list of " + list.Root
		}
	}
	return ""
}
