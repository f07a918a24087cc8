package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/guard"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// nftablesProbes are what this host is wanted to reach: the members' ports, the API servers,
// and on the host of a member its etcd's own health, which needs a quorum.
func nftablesProbes(i *policies.Intent, host filteredHost) []guard.Probe {
	var probes []guard.Probe
	add := func(name string, a netip.Addr, port uint16, kind guard.ProbeKind) {
		probes = append(probes, guard.Probe{Name: name, Address: netip.AddrPortFrom(a, port).String(), Kind: kind})
	}
	wanted := func(port uint16) bool {
		return slices.ContainsFunc(host.addrs, func(a netip.Addr) bool { return i.Wanted(a, port) })
	}
	for _, m := range i.Members {
		for _, a := range m.Addrs {
			if wanted(i.Ports.Client) {
				add(m.Name+" client port", a, i.Ports.Client, guard.AnswersTLS)
			}
			if wanted(i.Ports.Peer) {
				add(m.Name+" peer port", a, i.Ports.Peer, guard.AnswersTLS)
			}
		}
	}
	for _, s := range i.APIServers {
		for _, a := range s.Addrs {
			add("API server "+s.Name, a, secureAPIPort, guard.AnswersTLS)
		}
	}
	if host.member {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(i.Ports.Metrics)))
		probes = append(probes, guard.Probe{Name: "health of etcd here", Address: address, Kind: guard.Healthy})
	}
	return probes
}

// applyGuarded changes the rules, with the folder of the guard held.
func (a *app) applyGuarded(ctx context.Context, flags policiesApplyFlags, i *policies.Intent, host filteredHost, n guard.Nft, state *guard.State) error {
	p, err := planNftables(ctx, i, host, n)
	if err != nil {
		return err
	}
	if err := a.printNftablesPlan(flags.output, p); err != nil {
		return err
	}
	if len(p.Changes) == 0 {
		a.narrate("nothing to do: the rules are there")
		if flags.save != "" {
			if err := a.saveRules(flags.save, p); err != nil {
				return err
			}
		}
		return a.printOutcomeOf(flags.output, p)
	}
	if len(p.Cut) > 0 && !flags.cut {
		var who []string
		for _, c := range p.Cut {
			who = append(who, fmt.Sprintf("  %s at port %d", c.From, c.Port))
		}
		return failure(fmt.Errorf("hosts are connected that the spec does not let in, and nothing was loaded:\n%s", strings.Join(who, "\n")),
			"add them to the spec, or cut them off with --cut")
	}
	began := a.now() // before the watchdog counts
	if err := a.loadGuarded(ctx, flags, p, n, state); err != nil {
		return err
	}
	outcome, reason, err := a.decided(ctx, flags, p, n, began)
	switch {
	case err != nil:
		return failure(err, "etcdsec policies rollback"+stateDirHint(flags.stateDir))
	case outcome == guard.Kept:
		p.Outcome = "kept"
		a.narrate("kept")
		if err := a.saveRules(flags.save, p); err != nil {
			return err
		}
		return a.printOutcomeOf(flags.output, p)
	}
	p.Outcome = "undone"
	if err := a.printOutcomeOf(flags.output, p); err != nil {
		return err
	}
	return failure(fmt.Errorf("the change was undone: %w", reason), "")
}

// loadGuarded starts the watchdog and then loads the rules.
func (a *app) loadGuarded(ctx context.Context, flags policiesApplyFlags, p *nftablesPlan, n guard.Nft, state *guard.State) error {
	previous, err := n.Restore(ctx, p.live, "inet", policies.NftablesTable)
	if err == nil {
		err = n.Check(ctx, previous) // or there would be no way back
	}
	if err != nil {
		return nftFailure(err, "apply -f cluster.yaml")
	}
	if err := state.Prepare(previous); err != nil {
		return failure(err, "")
	}
	within := flags.guard
	if flags.confirm == confirmChecks {
		within += checksMargin
	}
	if _, err = guard.Spawn(flags.stateDir, []string{
		"policies", "watch", "--state-dir", flags.stateDir, "--nft", string(n), "--within", within.String(),
	}, a.now().Add(10*time.Second)); err != nil {
		return failure(errors.Join(err, state.Abandon()), "")
	}
	// From here on the end of this command means to undo the change, and not to stop half-way.
	ctx = context.WithoutCancel(ctx)
	err = n.Load(ctx, p.rules.Text())
	if err == nil {
		var live *nft.Ruleset
		if live, err = n.Ruleset(ctx); err == nil && len(nft.Diff(p.rules, live)) > 0 {
			err = errors.New("the kernel lists other rules than were loaded")
		}
	}
	if err == nil && guard.Decided(flags.stateDir) != guard.Undo {
		return nil
	}
	// This process may have been stopped for so long that the watchdog has undone what was
	// not loaded yet. The table is then brought back again.
	_, _, undoErr := a.settled(ctx, flags, guard.Undo, n)
	return failure(errors.Join(errors.New("the rules were not loaded"), err, undoErr, n.Load(ctx, previous)), "")
}

// checksMargin is for the last checks to be made before the watchdog would undo the change.
const checksMargin = 15 * time.Second

// decided waits for what becomes of the change, and returns why it was undone where that is known.
func (a *app) decided(ctx context.Context, flags policiesApplyFlags, p *nftablesPlan, n guard.Nft, began time.Time) (guard.Word, error, error) {
	a.narrate("loaded; undone in %s unless it is confirmed", flags.guard)
	staying, stop := context.WithCancel(ctx)
	defer stop()
	lost := make(chan error, 1)
	go func() {
		if err := guard.Stay(staying, p.probes); err != nil {
			lost <- err
		}
	}()
	var answers <-chan string
	var end <-chan time.Time
	if flags.confirm == confirmAsk {
		how := "run"
		if isTerminal(a.stdin) {
			// Only a terminal: a line that a script left on standard input is no answer.
			how, answers = "type yes to keep it, or run", lines(a.stdin)
		}
		a.narrate("%s from another session: etcdsec policies confirm%s", how, stateDirHint(flags.stateDir))
	} else {
		end = time.After(flags.guard)
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return a.undo(ctx, flags, n, errors.New("this command was ended"))
		case err := <-lost:
			return a.undo(ctx, flags, n, err)
		case answer, more := <-answers:
			if !more {
				answers = nil // another session has the word
				continue
			}
			if strings.TrimSpace(answer) != "yes" {
				return a.undo(ctx, flags, n, fmt.Errorf("the answer was %.20q", answer))
			}
			return a.keep(ctx, flags, p, n)
		case <-end:
			return a.keep(ctx, flags, p, n)
		case <-ticker.C:
			word := guard.Decided(flags.stateDir)
			if word == "" {
				continue
			}
			reason := fmt.Errorf("it was not confirmed within %s", flags.guard)
			if a.now().Sub(began) < flags.guard {
				reason = errors.New("another session undid it, or ended its guard")
			}
			outcome, _, err := a.settled(ctx, flags, word, n)
			return outcome, reason, err
		}
	}
}

// keep confirms the change if all that answered before does so once more.
func (a *app) keep(ctx context.Context, flags policiesApplyFlags, p *nftablesPlan, n guard.Nft) (guard.Word, error, error) {
	if err := guard.Hold(ctx, p.probes); err != nil {
		return a.undo(ctx, flags, n, err)
	}
	return a.settled(ctx, flags, guard.Keep, n)
}

func (a *app) undo(ctx context.Context, flags policiesApplyFlags, n guard.Nft, reason error) (guard.Word, error, error) {
	outcome, _, err := a.settled(ctx, flags, guard.Undo, n)
	return outcome, reason, err
}

// settled says the word and waits until the watchdog has done what was said first.
func (a *app) settled(ctx context.Context, flags policiesApplyFlags, w guard.Word, n guard.Nft) (guard.Word, error, error) {
	// The end of this command is when a change has to be undone, and not given up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if _, err := guard.Decide(flags.stateDir, w); err != nil && !errors.Is(err, guard.ErrNone) {
		return "", nil, err
	}
	outcome, err := guard.Await(ctx, flags.stateDir, n)
	if err != nil {
		if said := guard.Messages(flags.stateDir); said != "" {
			err = fmt.Errorf("%w; the guard said: %s", err, said)
		}
		return "", nil, err
	}
	return outcome, nil, nil
}

func stateDirHint(dir string) string {
	if dir == guard.DefaultDir {
		return ""
	}
	return " --state-dir " + dir
}

// lines are those of a reader, until it ends. The goroutine ends with the process.
func lines(r io.Reader) <-chan string {
	all := make(chan string)
	go func() {
		defer close(all)
		for s := bufio.NewScanner(r); s.Scan(); {
			all <- s.Text()
		}
	}()
	return all
}
