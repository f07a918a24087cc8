package guard

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// Options holds the settings with which a plan is applied.
type Options struct {
	State *State // the guard's folder, which stays locked until the change is kept or undone
	// Within is the time to confirm a change before it is undone.
	Within time.Duration
	// If ByChecks is set, the change is kept at the end of that time if everything still answers,
	// instead of being undone.
	ByChecks bool
	// If Cut is set, the rules are loaded even if they cut off hosts that are connected.
	Cut bool
	// SavePath is the path of the file that the rules are saved to once they are kept. If it is empty,
	// they are not saved.
	SavePath string
	// Watch starts the watchdog, a process that outlives this one, and returns once it is up. Its
	// argument is the time after which the watchdog undoes the change by itself.
	Watch func(within time.Duration) error
	Now   func() time.Time
}

// Change is a plan whose rules are loaded and that is not yet kept or undone.
type Change struct {
	plan    *Plan
	options Options
	nft     Nft
	began   time.Time // before the watchdog counts
}

// ErrNotLoaded means that the rules could not be loaded. The filter is unchanged, unless the
// error says otherwise.
var ErrNotLoaded = errors.New("the rules were not loaded")

// A NoChecksError means that no check could show whether the rules cut off somebody, so checks cannot
// keep them. Those on this host itself pass under any rules.
type NoChecksError struct{ Elsewhere bool } // something answers on this host

func (e *NoChecksError) Error() string {
	if e.Elsewhere {
		return "nothing was loaded: no member or API server on another host answers, so the checks cannot tell whether the rules cut off somebody"
	}
	return "nothing was loaded: nothing answers, so the checks cannot tell whether the rules cut off somebody"
}

// checkChecks returns a *NoChecksError if the checks could not tell anything.
func (p *Plan) checkChecks() error {
	asked, answered := 0, 0
	for _, c := range p.Checks {
		a, err := netip.ParseAddrPort(c.Address)
		if err != nil || a.Addr().IsLoopback() || slices.Contains(p.Host.Addrs, a.Addr()) {
			continue
		}
		asked++
		if c.Answers {
			answered++
		}
	}
	switch {
	case len(p.probes) == 0:
		return &NoChecksError{}
	case asked > 0 && answered == 0:
		return &NoChecksError{Elsewhere: true}
	}
	return nil
}

// checksMargin is the time for the last checks before the watchdog undoes the change.
const checksMargin = 15 * time.Second

// Load starts the watchdog and then loads the rules of a plan. The error is a *CutError or a
// *NoChecksError if the plan must not be loaded with these options.
func (p *Plan) Load(ctx context.Context, n Nft, o Options) (*Change, error) {
	if len(p.Cut) > 0 && !o.Cut {
		return nil, &CutError{p.Cut}
	}
	if o.SavePath != "" {
		// Another process may save them, from another folder.
		var err error
		if o.SavePath, err = filepath.Abs(o.SavePath); err != nil {
			return nil, err
		}
	}
	if o.ByChecks {
		if err := p.checkChecks(); err != nil {
			return nil, err
		}
	}
	c := &Change{plan: p, options: o, nft: n, began: o.Now()}
	text, previous, err := p.texts(ctx, n)
	if err == nil {
		err = n.Check(ctx, previous) // or there would be no way back
	}
	if err != nil {
		return nil, err
	}
	if err := o.State.Prepare(previous, Saving{Path: o.SavePath, Rules: p.Rules.Text()}); err != nil {
		return nil, err
	}
	within := o.Within
	if o.ByChecks {
		within += checksMargin
	}
	if err := o.Watch(within); err != nil {
		return nil, errors.Join(err, o.State.Abandon())
	}
	// From here on the end of this command means to undo the change, and not to stop half-way.
	ctx = context.WithoutCancel(ctx)
	err = n.Load(ctx, text)
	if err == nil {
		var live *nft.Ruleset
		if live, err = n.Tables(ctx, p.Rules); err == nil && len(policies.RulesDrift("", p.Rules, live)) > 0 {
			err = errors.New("the kernel lists other rules than were loaded")
		}
	}
	if err == nil && Decided(o.State.dir) != Undo {
		return c, nil
	}
	// This process may have been stopped for so long that the watchdog has undone what was
	// not loaded yet. The table is then brought back again.
	_, undoErr := c.settle(ctx, Undo)
	return nil, errors.Join(ErrNotLoaded, err, undoErr, n.Load(ctx, previous))
}

// texts returns what to load and what undoes it, each as one transaction for nft. If the cluster's
// table still has its former name, it is replaced by the new one in the same step.
func (p *Plan) texts(ctx context.Context, n Nft) (next, previous []byte, err error) {
	next = p.Rules.Text()
	for _, t := range p.Rules.Tables {
		restore, err := n.Restore(ctx, p.live, t.Family, t.Name)
		if err != nil {
			return nil, nil, err
		}
		previous = append(previous, restore...)
	}
	if t, former := policies.FormerTable(p.Rules, p.live); former {
		restore, err := n.Restore(ctx, p.live, t.Family, t.Name)
		if err != nil {
			return nil, nil, err
		}
		previous = append(previous, restore...)
		next = fmt.Appendf(next, "table %s %s\ndelete table %[1]s %[2]s\n", t.Family, t.Name)
	}
	return next, previous, nil
}

// Wait waits until the change is kept or undone, notes the outcome in the plan, and returns why
// it was undone. The answer yes, another session or, with ByChecks, successful checks keep the
// change. Any other answer, a failed probe, the end of ctx or the end of the time undo it.
// answers may be nil. The error means that the outcome is not known, or that the change was kept and
// could not be saved: then it is a *SaveError.
func (c *Change) Wait(ctx context.Context, answers <-chan string) (reason, err error) {
	outcome, reason, err := c.wait(ctx, answers)
	switch {
	case outcome == Kept:
		c.plan.Outcome = PlanKept
		return nil, err
	case err != nil:
		return nil, err
	}
	c.plan.Outcome = PlanUndone
	return reason, nil
}

func (c *Change) wait(ctx context.Context, answers <-chan string) (outcome Word, reason, err error) {
	staying, stop := context.WithCancel(ctx)
	defer stop()
	lost := make(chan error, 1)
	go func() {
		if err := Stay(staying, c.plan.probes); err != nil {
			lost <- err
		}
	}()
	var end <-chan time.Time
	if c.options.ByChecks {
		end = time.After(c.options.Within)
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return c.undo(ctx, errors.New("this command was stopped"))
		case err := <-lost:
			return c.undo(ctx, err)
		case answer, more := <-answers:
			switch {
			case !more:
				answers = nil // another session has the word
				continue
			case strings.TrimSpace(answer) != "yes":
				return c.undo(ctx, fmt.Errorf("the answer was %.20q", answer))
			}
			return c.keep(ctx)
		case <-end:
			return c.keep(ctx)
		case <-ticker.C:
			word := Decided(c.options.State.dir)
			if word == "" {
				continue
			}
			reason := fmt.Errorf("it was not confirmed within %s", c.options.Within)
			if c.options.Now().Sub(c.began) < c.options.Within {
				reason = errors.New("another session undid it, or ended its guard")
			}
			outcome, err := c.settle(ctx, word)
			return outcome, reason, err
		}
	}
}

// keep confirms the change if everything that answered before answers again.
func (c *Change) keep(ctx context.Context) (outcome Word, reason, err error) {
	if err := Hold(ctx, c.plan.probes); err != nil {
		return c.undo(ctx, err)
	}
	outcome, err = c.settle(ctx, Keep)
	return outcome, nil, err
}

func (c *Change) undo(ctx context.Context, reason error) (Word, error, error) {
	outcome, err := c.settle(ctx, Undo)
	return outcome, reason, err
}

// settle makes a decision, and waits until the watchdog has carried out the first decision.
func (c *Change) settle(ctx context.Context, w Word) (Word, error) {
	// The end of this command is when a change has to be undone, and not given up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	dir := c.options.State.dir
	if _, err := Decide(dir, w); err != nil && !errors.Is(err, ErrNone) {
		return "", err
	}
	outcome, err := Await(ctx, dir, c.nft)
	if _, unsaved := errors.AsType[*SaveError](err); unsaved {
		return outcome, err
	}
	if err != nil {
		if said := Messages(dir); said != "" {
			err = fmt.Errorf("%w; the guard said: %s", err, said)
		}
		return "", err
	}
	return outcome, nil
}
