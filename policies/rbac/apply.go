package rbac

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/internal/failpoint"
)

// Outcome is the result of Apply.
type Outcome struct {
	Checks []Check
	// Disabled reports whether Apply disabled RBAC again because a check failed.
	Disabled bool
}

// Apply makes the changes of a plan, enables RBAC, and verifies it with each client's certificate at
// each member. If a check fails, or if ctx ends, Apply disables RBAC again, unless an earlier run had
// enabled and proven it. What to do follows from the state alone, so the next run finishes one that was
// killed, at any moment.
func (l *Live) Apply(ctx context.Context, p Plan, s State, clients []Client) (Outcome, error) {
	admin, err := l.connect(l.Admin, l.Endpoints[0])
	if err != nil {
		return Outcome{}, err
	}
	defer admin.close()
	interrupted := s.Enabled && s.Unverified
	err = l.CheckReady(ctx, p, s, clients)
	if err != nil && !interrupted {
		return Outcome{}, fmt.Errorf("%w\nnothing was changed", err)
	}
	for _, c := range p.Changes(s) {
		if err != nil {
			break
		}
		l.narrate("%s", c.Text)
		err = admin.write(ctx, c)
	}
	if err != nil && !interrupted {
		return Outcome{}, err
	}
	var o Outcome
	if err == nil {
		err = l.enable(ctx, admin, s)
	}
	if err == nil {
		if o.Checks, err = l.Verify(ctx, p, s.Members, clients); err == nil {
			err = checkFailures(o.Checks)
		}
	}
	ours := !s.Enabled || s.Unverified
	if err == nil && ours {
		// It is proven, so this is no time to stop.
		err = admin.write(context.WithoutCancel(ctx), unmark())
	}
	switch {
	case err == nil:
		return o, nil
	case !ours:
		return o, fmt.Errorf("%w\nRBAC was enabled before this run and stays enabled", err)
	}
	// An interrupt must not leave behind what did not work.
	const patience = 30 * time.Second
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	l.narrate("disable RBAC again")
	if undone := l.disable(undo, true); undone != nil {
		return o, errors.Join(err, undone)
	}
	o.Disabled = true
	return o, fmt.Errorf("%w\nRBAC was disabled again", err)
}

// enable sets the mark and enables RBAC, unless it is. After an error RBAC may be enabled all the
// same: the answer may be what was lost.
func (l *Live) enable(ctx context.Context, admin *member, s State) error {
	if s.Enabled {
		return nil
	}
	if !s.Unverified {
		if err := admin.write(ctx, markUnverified()); err != nil {
			return err
		}
	}
	on := enable()
	l.narrate("%s", on.Text)
	return admin.write(ctx, on)
}

// checkFailures returns an error for the checks that did not go as planned, ten of them at most.
func checkFailures(checks []Check) error {
	const most = 10
	var faults []error
	for _, c := range checks {
		if c.OK() {
			continue
		}
		if len(faults) == most {
			faults = append(faults, errors.New("and more"))
			break
		}
		faults = append(faults, fmt.Errorf("verifying %s at %s: %s", quote(c.Client), c.Endpoint, c.difference()))
	}
	return errors.Join(faults...)
}

// Disable disables RBAC. It keeps the users and roles; with remove it deletes those of the plan.
func (l *Live) Disable(ctx context.Context, p Plan, s State, remove bool) error {
	var after []Change
	if remove {
		after = p.Removal(s)
	}
	return l.disable(ctx, s.Unverified, after...)
}

// disable asks one member after the other until one does it. A member that is down does not keep
// RBAC enabled.
func (l *Live) disable(ctx context.Context, marked bool, after ...Change) error {
	changes := []Change{disable()}
	if marked {
		changes = append(changes, unmark())
	}
	changes = append(changes, after...)
	var faults []error
	for _, endpoint := range l.Endpoints {
		err := l.writeAll(ctx, endpoint, changes)
		if err == nil {
			return nil
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// writeAll makes changes one after the other at one member.
func (l *Live) writeAll(ctx context.Context, endpoint string, changes []Change) error {
	admin, err := l.connect(l.Admin, endpoint)
	if err != nil {
		return err
	}
	defer admin.close()
	for _, c := range changes {
		if err := admin.write(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// write makes a change. It returns no error for a change that was made before: when a call is
// repeated, etcd may have made it the first time.
func (m *member) write(ctx context.Context, c Change) error {
	failpoint.Here()
	err := m.call(ctx, func(ctx context.Context) error { return c.call(ctx, m.client) })
	if err != nil && (c.done == nil || !errors.Is(err, c.done)) {
		return fmt.Errorf("%s at %s: %w", c.Text, m.address, err)
	}
	failpoint.Here()
	return nil
}
