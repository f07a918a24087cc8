package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

// leafSurvey tells which leaves to sign, and holds the step of each leaf that the run concerns.
type leafSurvey struct {
	work  map[LeafID]leafWork
	steps []Step
}

// surveyLeaves compares every leaf that the renewal concerns with the plan.
func (s *Store) surveyLeaves(ctx context.Context, w *Survey, renewal Renewal) (leafSurvey, error) {
	o := w.outlook()
	plan, cas := o.plan, o.cas
	found := leafSurvey{work: map[LeafID]leafWork{}}
	var faults []error
	for _, b := range plan.Bundles {
		drifted, err := s.trustDrift(b, cas)
		faults = append(faults, err)
		for _, l := range b.Leaves {
			if renewal.ListsOnly || renewal.Requests != nil && !renewal.selects(l) {
				continue // this run is not about it, and what is wrong with it is not in the way
			}
			state, err := s.loadLeaf(b, l)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			var problems []string
			if state.chain != nil {
				problems = leafProblems(plan, cas, l, state, o.now)
				state.ban = w.record.banOf(state.chain[0])
			}
			step, work, err := renewal.decide(s.Dir, l, b, state, problems, o)
			faults = append(faults, err)
			if b := w.banOfIssuer(l); work != nil && b.banned() {
				step, work = step.waitFor(o.bannedAuthorityRemedy(s.Dir, plan.authority(l.Issuer)), b.cause), nil
			}
			if work != nil && state.chain != nil && slices.Contains(drifted, b.trustOf(l)) && s.lacksRoot(b, l, cas[l.Root]) && w.certify[l.Root] == "" {
				step, work = step.waitFor(trustRemedy(s.Dir, b, l), "it would not verify below the trust file beside it"), nil
			}
			if work != nil && (work.reason == reasonDue || work.reason == reasonRevoked) && !w.replaced[l.Issuer] {
				// A key that only a person can bring keeps nothing else from being done.
				if err := s.openKey(ctx, w, plan.authority(l.Issuer)); err != nil {
					remedy := s.waitForKey(w, plan.authority(l.Issuer), o.stateRemedy(s.Dir, l, state), err)
					step, work = step.waitFor(remedy, state.describeDue(o.now)), nil
				}
			}
			if work != nil {
				found.work[l.ID] = *work
				problems = nil // the new certificate mends them
			}
			if work == nil && state.ban.banned() && step.Remedy == nil {
				step = step.waitFor(o.stateRemedy(s.Dir, l, state), state.ban.cause)
			}
			if state.chain != nil {
				step.note(problems, drifted, state)
			}
			found.steps = append(found.steps, step)
		}
	}
	return found, errors.Join(faults...)
}

// banOfIssuer returns why the issuing CA of a leaf must sign nothing: members refuse what it signs. The
// zero value means that it may, as if it gets a new certificate in this run. A root may go on, because
// no list can revoke it.
func (w *Survey) banOfIssuer(l Leaf) ban {
	issuer, certified := w.cas[l.Issuer], w.certify[l.Issuer] != ""
	if issuer == nil || certified || issuer.isRoot() {
		return ban{}
	}
	b := w.record.banOf(issuer.cert)
	if b.banned() {
		b.cause = fmt.Sprintf("its issuer %s %s", l.Issuer, b.cause)
	}
	return b
}

// decide returns the step for a leaf, and how to sign it, or nil if it is not signed.
func (r Renewal) decide(dir string, l Leaf, b Bundle, state leafState, problems []string, o outlook) (Step, *leafWork, error) {
	step := Step{Action: ActionKeep, Name: l.Name, Role: l.Role, Path: b.Path, File: l.CertFile}
	if state.chain == nil {
		if !r.selects(l) {
			step.Action, step.Detail = ActionDue, "was not issued yet"
			return step, nil, nil
		}
		step.Action, step.Detail = ActionIssue, joinDetails(describeLeaf(l), o.describeCut(l))
		return step, r.newLeafWork(l, r.newReason(), state), nil
	}
	need := r.findNeed(l, state.chain, problems, state.ban, o)
	if need.waits {
		step = step.waitFor(o.stateRemedy(dir, l, state), state.describeDue(o.now))
	}
	if need.cause == "" {
		if step.Action == ActionKeep {
			step.Detail = describeKept(l)
		}
		return step, nil, nil
	}
	work := r.newLeafWork(l, r.reason(l, problems, state.ban, o), state)
	if state.key != nil && !samePublicKey(state.key.Public(), state.chain[0].PublicKey) && !work.newKey && r.Requests == nil {
		// It may be another's: to certify it would give two holders one key.
		return step, nil, fmt.Errorf("renewing %s: %s/%s is not the key of its certificate; bring the right one back, or give --new-key", l.Name, b.Path, l.KeyFile)
	}
	if r.NewKey && state.key == nil {
		return step, nil, fmt.Errorf("renewing %s: its key is only on its node; make the new one there: etcdsec pki csr", l.Name)
	}
	if state.key == nil && r.Requests == nil {
		if state.ban.compromised {
			return step.waitFor(o.stateRemedy(dir, l, state), state.describeDue(o.now)), nil, nil
		}
		if fault := state.weakKey(); fault != nil {
			return step.waitFor(nodeKeyRemedy(l), fault.Error()), nil, nil
		}
	}
	step.Action, step.Detail = ActionRenew, joinDetails(need.cause, describeKept(l), o.describeCut(l))
	if work.newKey && !r.NewKey {
		step.Detail += "; new key"
	}
	return step, work, nil
}

// newLeafWork returns how to sign a leaf. In place of a revoked certificate, it gets a new key if the
// store has its key: members already refuse the old one, so nothing is lost by it. An imported key that
// others can compute is not certified again either.
func (r Renewal) newLeafWork(l Leaf, reason signReason, state leafState) *leafWork {
	csr := r.Requests[l.ID]
	return &leafWork{
		reason: reason, state: state, csr: csr,
		newKey: csr == nil && (r.NewKey || state.chain == nil || state.key != nil && (state.ban.banned() || state.weakKey() != nil)),
	}
}

// note adds to a leaf's step the problems that the run does not correct.
func (s *Step) note(problems, drifted []string, state leafState) {
	for _, name := range drifted {
		problems = append(problems, describeDrift(name))
	}
	switch {
	case len(problems) > 0 && s.Action == ActionKeep:
		s.Action, s.Detail = ActionDue, strings.Join(problems, "; ")
	case len(problems) > 0:
		s.Detail += "; but " + strings.Join(problems, "; ")
	case state.key == nil && s.Action == ActionKeep:
		s.Detail = joinDetails(s.Detail, "its key is not in this store")
	}
}

// lacksRoot reports whether the trust file beside a leaf is there and does not hold the leaf's root.
func (s *Store) lacksRoot(b Bundle, l Leaf, root *ca) bool {
	trust, err := ReadTrust(s.path(b.Path, b.trustOf(l)))
	return !errors.Is(err, fs.ErrNotExist) && root != nil && !slices.ContainsFunc(trust, root.cert.Equal)
}

// trustRemedy returns the remedy for a leaf whose trust file beside it is not the plan's root.
func trustRemedy(dir string, b Bundle, l Leaf) Remedy {
	return Remedy{
		Command: "etcdsec pki verify " + shellword.Path(dir),
		Person:  true,
		Why:     fmt.Sprintf("%s/%s is not the certificate of %s", b.Path, b.trustOf(l), l.Root),
	}
}

// describeDrift tells, in words, that a trust file of a bundle differs from the plan's root.
func describeDrift(name string) string {
	return name + " next to it is not the certificate of its root"
}

// leafProblems returns how a leaf differs from the plan at the given time.
func leafProblems(plan Plan, cas authorities, l Leaf, state leafState, now time.Time) []string {
	var problems []string
	pub := state.chain[0].PublicKey
	if state.key != nil {
		pub = state.key.Public()
	}
	at := now
	if end := earliestEnd(state.chain); now.After(end) {
		problems = append(problems, describeEnd(end, now))
		at = end // so that whatever else is wrong with it is found too
	}
	for _, fault := range verifyLeaf(l, state.chain, cas[l.Root].trust(), pub, at) {
		problems = append(problems, fault.Error())
	}
	for _, name := range plan.replacedIssuers(l, state.chain, cas) {
		problems = append(problems, fmt.Sprintf("its issuer %s was replaced", name))
	}
	return problems
}

// replacedIssuers returns the names of the authorities above a leaf that have another key than the
// CA in the leaf's file.
func (p Plan) replacedIssuers(l Leaf, chain []*x509.Certificate, cas authorities) []string {
	var replaced []string
	for i, name := range p.issuersAbove(l) {
		issuer := cas[name]
		if issuer != nil && (i+1 >= len(chain) || !samePublicKey(chain[i+1].PublicKey, issuer.cert.PublicKey)) {
			replaced = append(replaced, name)
		}
	}
	return replaced
}

// joinDetails puts the details of a step that are not empty into one line.
func joinDetails(details ...string) string {
	return strings.Join(slices.DeleteFunc(details, func(d string) bool { return d == "" }), "; ")
}

func describeLeaf(l Leaf) string {
	d := fmt.Sprintf("CN=%s, %s, by %s", l.CommonName, strings.Join(EKUNames(l.EKUs), "+"), l.Issuer)
	if !l.Names.isEmpty() {
		d += ", " + strings.Join(l.Names.Strings(), " ")
	}
	return d
}
