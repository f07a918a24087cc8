package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"time"
)

// surveyAuthorities makes the step of each authority, each issuer before what it issues.
func (s *Store) surveyAuthorities(ctx context.Context, w *Survey, renewal Renewal) error {
	faults := []error{s.checkAccess(w.plan, w.cas)}
	for _, a := range w.plan.Authorities {
		loaded := w.cas[a.Name]
		decided, err := s.decideAuthority(ctx, w, a, loaded, renewal)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		step := decided.step
		if decided.reason != "" {
			w.certify[a.Name] = decided.reason
		}
		w.replaced[a.Name] = decided.newKey
		faults = append(faults, s.planRootKey(ctx, w, a, loaded, decided.reason != "", &step))
		w.Steps = append(w.Steps, step)
	}
	return errors.Join(faults...)
}

// authorityDecision tells what a run does with an authority.
type authorityDecision struct {
	step   Step
	reason signReason // why it gets a certificate; empty if it gets none
	newKey bool       // whether it gets a new key
}

// decideAuthority returns the step for an authority. It returns an error for one that cannot work
// and that this run does not correct.
func (s *Store) decideAuthority(ctx context.Context, w *Survey, a Authority, loaded *ca, renewal Renewal) (authorityDecision, error) {
	step := Step{Action: ActionKeep, Name: a.Name, Role: RoleCA, Path: a.Path(), File: caCertName}
	if loaded == nil {
		step.Action, step.Detail = ActionIssue, fmt.Sprintf("%s, %s", describeIssuer(a), formatDays(a.Lifetime))
		return authorityDecision{step: step, reason: reasonNew}, nil
	}
	o := w.outlook()
	end := loaded.cert.NotAfter
	if dates := errors.Join(caDates(loaded.cert, w.now)...); dates != nil && !w.now.After(end) {
		return authorityDecision{}, fmt.Errorf("%s/%s: %w; is this machine's clock right?", a.Path(), caCertName, dates)
	}
	expired, due := w.now.After(end), Due([]*x509.Certificate{loaded.cert}, w.now)
	_, issuerCertified := w.certify[a.Issuer]
	deviations := issuingDeviations(a, loaded.cert)
	step.expired = expired
	if b := w.record.banOf(loaded.cert); b.banned() {
		return s.decideBanned(ctx, w, a, loaded, b, renewal, step)
	}
	foreign := a.Issuer == "" && !isSelfSigned(loaded.cert)
	switch {
	case foreign && expired:
		return authorityDecision{}, fmt.Errorf("%s/%s: %w; %s", a.Path(), caCertName, errors.Join(caDates(loaded.cert, w.now)...), o.remedyFor(s.Dir, a))
	case foreign && due && renewal.Authorities:
		return authorityDecision{step: step.waitFor(o.remedyFor(s.Dir, a), describeEnd(end, w.now))}, nil
	case renewal.Authorities && (expired || due || issuerCertified):
		if err := s.openKey(ctx, w, w.plan.signerOf(a)); err != nil && !expired && !issuerCertified {
			return authorityDecision{step: step.waitFor(s.waitForKey(w, w.plan.signerOf(a), o.remedyFor(s.Dir, a), err), describeEnd(end, w.now))}, nil // it is still valid, so its missing key stops nothing else
		}
		step.Action = ActionRenew
		step.Detail = fmt.Sprintf("%s; same key, until %s", describeEnd(end, w.now), o.newCAEnd(a).UTC().Format(time.DateOnly))
		return authorityDecision{step: step, reason: reasonRenewed}, nil
	case renewal.Authorities && !a.isRoot() && len(deviations) > 0:
		step.Action, step.Detail = ActionRenew, joinFaults(deviations)+"; same key"
		return authorityDecision{step: step, reason: reasonDeviates}, nil
	case renewal.replacesIssuing() && !a.isRoot() && due && !o.caIsCut(a):
		return s.replaceIssuing(ctx, w, a, loaded, reasonDue, describeEnd(end, w.now), step)
	case expired:
		return authorityDecision{}, expiredError(a, loaded.cert, w.now)
	case due && renewal.replacesIssuing():
		return authorityDecision{step: step.waitFor(o.remedyFor(s.Dir, a), describeEnd(end, w.now))}, nil
	case due:
		step.Detail = fmt.Sprintf("%s: %s", describeEnd(end, w.now), o.remedyFor(s.Dir, a))
	}
	if deviations := caDeviations(a, loaded.cert); len(deviations) > 0 {
		step = step.waitFor(o.deviationRemedy(s.Dir, a), joinFaults(deviations))
	}
	return authorityDecision{step: step}, nil
}

// decideBanned returns the step for an authority that must not stay in use. An issuing CA is replaced
// if the run does such things. A root needs a person.
func (s *Store) decideBanned(ctx context.Context, w *Survey, a Authority, loaded *ca, b ban, renewal Renewal, step Step) (authorityDecision, error) {
	o := w.outlook()
	switch {
	case renewal.replacesIssuing() && !a.isRoot():
		return s.replaceIssuing(ctx, w, a, loaded, reasonRevoked, b.cause, step)
	case w.now.After(loaded.cert.NotAfter):
		return authorityDecision{}, fmt.Errorf("%s/%s: it %s, and has expired; %s", a.Path(), caCertName, b.cause, o.bannedAuthorityRemedy(s.Dir, a))
	}
	return authorityDecision{step: step.waitFor(o.bannedAuthorityRemedy(s.Dir, a), b.cause)}, nil
}

// expiredError returns the error for an authority that has expired.
func expiredError(a Authority, cert *x509.Certificate, now time.Time) error {
	return fmt.Errorf("%s/%s: %w; `etcdsec pki recover` issues it and everything below it anew", a.Path(), caCertName, errors.Join(caDates(cert, now)...))
}

// replaceIssuing replaces an issuing CA that is due or banned, if the key that signs it is available. The new
// CA has a new key, and so a new name and key ID: a verifier that has both CAs finds the right one,
// and a key that leaked is useless as soon as the former CA ends. If a program holds the key, only
// the program can change it.
func (s *Store) replaceIssuing(ctx context.Context, w *Survey, a Authority, loaded *ca, reason signReason, cause string, step Step) (authorityDecision, error) {
	o, end := w.outlook(), loaded.cert.NotAfter
	signer := w.plan.signerOf(a)
	err := s.openKey(ctx, w, signer)
	newKey, keyOf := true, "new key"
	if err == nil && a.external != nil {
		signer = a
		if err = s.askProgram(ctx, w, a); err == nil {
			held := w.opened[a.Name].Public()
			newKey, keyOf = !samePublicKey(held, loaded.cert.PublicKey), "the key that its program holds"
			if err = w.record.checkKey(held); err != nil {
				err = fmt.Errorf("the program that holds the key of %s: %w there", a.Name, err)
			}
		}
	}
	remedy := o.remedyFor(s.Dir, a)
	if reason == reasonRevoked {
		remedy = o.bannedAuthorityRemedy(s.Dir, a)
	}
	switch {
	case err == nil:
		step.Action = ActionRenew
		step.Detail = fmt.Sprintf("%s; %s, until %s", cause, keyOf, o.newCAEnd(a).UTC().Format(time.DateOnly))
		return authorityDecision{step: step, reason: reason, newKey: newKey}, nil
	case w.now.After(end):
		return authorityDecision{}, errors.Join(expiredError(a, loaded.cert, w.now), err)
	}
	return authorityDecision{step: step.waitFor(s.waitForKey(w, signer, remedy, err), cause)}, nil
}

// waitForKey returns the remedy for a certificate that is due if its signer's key could not be opened.
// If the key should have been available, it adds a fault: the run fails after it did what else is due.
func (s *Store) waitForKey(w *Survey, signer Authority, r Remedy, err error) Remedy {
	if r.Person && !s.Keys.given() && signer.external == nil {
		return r
	}
	if !w.told[signer.Name] {
		w.told[signer.Name] = true
		w.Faults = append(w.Faults, fmt.Errorf("what %s must sign is due: %w", signer.Name, err))
	}
	r.Why = err.Error()
	return r
}

// waitFor returns the step for a certificate that is due but that this run does not change.
func (s Step) waitFor(r Remedy, why string) Step {
	s.Action, s.Remedy = ActionDue, &r
	s.Detail = fmt.Sprintf("%s; %s", why, r)
	return s
}

// signerOf returns the authority that signs an authority: itself for a self-signed root.
func (p Plan) signerOf(a Authority) Authority {
	if a.Issuer == "" {
		return a
	}
	return p.authority(a.Issuer)
}

// openKey fetches the key of an authority, unless the key is already loaded or this run makes it. It
// tries only once, because many certificates may wait for one key.
func (s *Store) openKey(ctx context.Context, w *Survey, a Authority) error {
	there := w.cas[a.Name]
	if there == nil || there.key != nil || w.opened[a.Name] != nil {
		return nil
	}
	if err := w.closed[a.Name]; err != nil {
		return err
	}
	key, err := s.fetchKey(ctx, a, there.cert)
	if err != nil {
		w.closed[a.Name] = err
		return err
	}
	w.opened[a.Name] = key
	return nil
}

// askProgram fetches the key that a program has now for an authority, whichever it is.
func (s *Store) askProgram(ctx context.Context, w *Survey, a Authority) error {
	key, err := a.externalSigner(ctx, nil, s.Keys.Supervisor)
	if err == nil {
		w.opened[a.Name] = key
	}
	return err
}

// issuingDeviations returns how an issuing CA differs from the plan. Name constraints that are too
// wide, as after a member left the spec, are a difference too.
func issuingDeviations(a Authority, cert *x509.Certificate) []error {
	return append(caDeviations(a, cert), constraintDeviations(a, cert)...)
}

// extend gives an issuing CA wider constraints if it must sign names that they do not cover. No
// leaf is signed by one that was revoked.
func (w *Survey) extend(step *Step) {
	loaded := w.cas[step.Name]
	if _, certified := w.certify[step.Name]; certified || step.Role != RoleCA || loaded == nil {
		return
	}
	for l := range w.plan.leaves() {
		if _, signed := w.leaves[l.ID]; signed && l.Issuer == step.Name && !constraintsCover(loaded.cert, l.Names) {
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
		reencrypted := w.protect[a.Name] && w.opened[a.Name] != nil
		if c == nil || c.key != nil || first == "" && !reencrypted || w.replaced[a.Name] && a.external == nil {
			continue
		}
		if err := s.openKey(ctx, w, a); err != nil {
			faults = append(faults, fmt.Errorf("%w, but it must sign %s; bring the key back for this run", err, first))
		}
		with[a.Name] = &ca{Authority: a, cert: c.cert, key: w.opened[a.Name], also: c.also}
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
		if _, signed := w.leaves[l.ID]; signed && l.Issuer == by.Name && !remote {
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

func describeIssuer(a Authority) string {
	if a.Issuer == "" {
		return "self-signed root"
	}
	return "signed by " + a.Issuer
}

func formatDays(d time.Duration) string { return fmt.Sprintf("%d days", int(d.Hours()/24)) }
