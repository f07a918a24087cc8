package pki

import (
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Action is what a step of issuing does.
type Action string

// The actions.
const (
	ActionIssue Action = "issue" // a new key and certificate
	// ActionExtend gives an issuing CA a new certificate for the key it has, because its
	// name constraints do not cover a member that the spec gained.
	ActionExtend Action = "extend"
	ActionKeep   Action = "keep" // it is there and as planned
	// ActionDue is a certificate that is there and not as planned. Issuing never
	// replaces a key, so this is only reported.
	ActionDue Action = "due"
)

// Step is what issuing does, or did, about one certificate.
type Step struct {
	Action Action
	Name   string
	Role   string // ca, or a leaf's role
	Path   string // of its bundle in the store
	Detail string
}

// Work is what a store needs to become what a plan says. It is derived from the store
// anew each time, so a run that was killed is finished by the next one.
type Work struct {
	Steps []Step

	plan   Plan
	cas    map[string]*ca // by name; without a certificate where it has to be issued
	extend map[string]bool
	issue  map[string]bool // leaves, by name
}

// Due says whether the plan and the store disagree in a way that issuing does not mend.
func (w *Work) Due() bool {
	for _, s := range w.Steps {
		if s.Action == ActionDue {
			return true
		}
	}
	return false
}

// Nothing says whether there is nothing to issue.
func (w *Work) Nothing() bool { return w.count() == 0 }

func (w *Work) count() int {
	n := 0
	for _, s := range w.Steps {
		if s.Action == ActionIssue || s.Action == ActionExtend {
			n++
		}
	}
	return n
}

// Survey compares the store with the plan. It changes nothing. A damaged, mismatched or
// expired authority is an error; so is a key without its certificate.
func (s *Store) Survey(plan Plan, now time.Time) (*Work, error) {
	w := &Work{plan: plan, cas: map[string]*ca{}, extend: map[string]bool{}, issue: map[string]bool{}}
	if err := s.checkLost(plan); err != nil {
		return nil, err
	}
	var faults []error
	for _, a := range plan.Authorities {
		loaded, err := s.loadCA(a, w.cas[a.Issuer], now)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		w.cas[a.Name] = loaded
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	leaves, err := s.surveyLeaves(w, now)
	if err != nil {
		return nil, err
	}
	for _, a := range plan.Authorities {
		w.Steps = append(w.Steps, w.surveyCA(a))
	}
	w.Steps = append(w.Steps, leaves...)
	return w, w.checkKeys()
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

func (s *Store) surveyLeaves(w *Work, now time.Time) ([]Step, error) {
	var steps []Step
	var faults []error
	for _, b := range w.plan.Bundles {
		drifted, err := s.trustDrift(b, w.cas)
		if err != nil {
			faults = append(faults, err)
		}
		for _, l := range b.Leaves {
			step := Step{Action: ActionKeep, Name: l.Name, Role: l.Role, Path: b.Path}
			state, err := s.loadLeaf(b, l)
			switch {
			case err != nil:
				faults = append(faults, err)
			case state.chain == nil:
				w.issue[l.Name] = true
				step.Action, step.Detail = ActionIssue, describeLeaf(l)
			default:
				if problem := w.leafDrift(l, state, drifted, now); problem != "" {
					step.Action, step.Detail = ActionDue, problem
				} else if state.key == nil {
					step.Detail = "its key is not in this store"
				}
			}
			steps = append(steps, step)
		}
	}
	return steps, errors.Join(faults...)
}

func (w *Work) leafDrift(l Leaf, state leafState, drifted []string, now time.Time) string {
	root := w.cas[l.Root]
	var pub crypto.PublicKey = state.chain[0].PublicKey
	if state.key != nil {
		pub = state.key.Public()
	}
	var problems []string
	if err := verifyLeaf(l, state.chain, root.cert, pub, now); err != nil {
		problems = strings.Split(err.Error(), "\n")
	}
	for _, name := range drifted {
		problems = append(problems, fmt.Sprintf("%s beside it is not the certificate of its root", name))
	}
	return strings.Join(problems, "; ")
}

func (w *Work) surveyCA(a Authority) Step {
	step := Step{Action: ActionKeep, Name: a.Name, Role: "ca", Path: a.Path()}
	loaded := w.cas[a.Name]
	if loaded == nil {
		step.Action = ActionIssue
		step.Detail = fmt.Sprintf("%s, %s", signedBy(a), days(a.Lifetime))
		return step
	}
	for _, b := range w.plan.Bundles {
		for _, l := range b.Leaves {
			if l.Issuer == a.Name && w.issue[l.Name] && !constraintsCover(loaded.cert, l.Names) {
				w.extend[a.Name] = true
				step.Action = ActionExtend
				step.Detail = fmt.Sprintf("name constraints to cover %s; same key", l.Name)
				return step
			}
		}
	}
	return step
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

// checkKeys finds out, before anything is made, whether a signing key is missing.
func (w *Work) checkKeys() error {
	needed := map[string]string{} // authority to the first thing it must sign
	note := func(authority, what string) {
		if needed[authority] == "" {
			needed[authority] = what
		}
	}
	for _, a := range w.plan.Authorities {
		if a.Issuer != "" && (w.cas[a.Name] == nil || w.extend[a.Name]) {
			note(a.Issuer, a.Name)
		}
	}
	for _, b := range w.plan.Bundles {
		for _, l := range b.Leaves {
			if w.issue[l.Name] {
				note(l.Issuer, l.Name)
			}
		}
	}
	var faults []error
	for _, a := range w.plan.Authorities {
		if c := w.cas[a.Name]; c != nil && c.key == nil && needed[a.Name] != "" {
			faults = append(faults, fmt.Errorf("%s/ca.key is not here, and %s must be signed with it; bring the key back for this run", a.Path(), needed[a.Name]))
		}
	}
	return errors.Join(faults...)
}
