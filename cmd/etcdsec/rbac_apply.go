package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

// rbacApplyFlags hold the flags as the operator wrote them.
type rbacApplyFlags struct {
	rbacFlags

	also    []string
	observe time.Duration
	dryRun  bool
}

func newRBACApplyCommand(a *app) *cobra.Command {
	var flags rbacApplyFlags
	cmd := &cobra.Command{
		Use:   "apply [-f cluster.yaml] DIR",
		Short: "Make the users and roles, enable RBAC, and try every certificate",
		Long: `Make the users and roles of the plan, enable RBAC, and present the certificate of every client to
every member. What the plan allows must be possible, and everything else must be refused. If not,
RBAC is disabled again.

Before anything is changed
- every member must run a release that follows the rules that the plan was made for, have a leader, and
  be no learner; etcd must have no alarm;
- every member must accept every certificate, and no client without one. A member whose command line has
  --trusted-ca-file and no --client-cert-auth is refused: it ignores the names in certificates. Of one
  that is configured by a file or by its environment, nothing tells this;
- the CN of every client's certificate in DIR, and of those of --present and --also, must be a user;
- with spec.rbac.compaction: etcd, the compactions of etcd are observed for the time of --observe:
  etcd must compact, and no API server may. An API server with a longer interval is not noticed.
  --observe 0 skips this.

Users and roles that the plan does not name stay, and are listed. Users and roles of the plan lose
permissions that the plan does not give. A user of the plan with a password is deleted and added again
without one, and its tokens end. While RBAC is disabled, etcd does not tell who has a password, so this
happens to every user that exists. While it is enabled, a password of root or of this run's own user
cannot be removed, and nothing is changed. Another run changes what differs and tries the certificates
again. If a run is stopped by a signal, or if its terminal goes away, it disables RBAC again at once,
unless RBAC was enabled before. If a run is killed at any moment, the next one finishes its work. The
requests that try a certificate change nothing in the store.

Reads the spec (DIR/cluster.yaml, or the one given with -f) and the certificates and keys of the
clients in DIR. Asks etcd with the certificate of the first client of role root. Writes to etcd only
users, roles and whether RBAC is enabled. It locks DIR meanwhile, and writes nothing to it.

Exit status: 0 enabled and proven, 1 not proven, and disabled again if this run had enabled it, 2 bad
command line, or a spec that is refused.`,
		Example: `  etcdsec rbac apply ./store --dry-run
  etcdsec rbac apply ./store
  etcdsec rbac apply ./store --also /etc/kubernetes/pki/apiserver-etcd-client.crt
  etcdsec rbac apply ./store --observe 0
  etcdsec rbac apply -f cluster.yaml ./store --endpoints 10.0.0.11:2379 -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return flags.run(cmd.Context(), a, given[0]) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *rbacApplyFlags) addFlags(cmd *cobra.Command) {
	f.rbacFlags.addFlags(cmd)
	f.addPresentFlag(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.also, "also", nil, "`CERT` of another client, whose CN must be a user; may be repeated")
	flags.DurationVar(&f.observe, "observe", rbac.DefaultObservation, "`time` to observe who compacts; 0 skips this")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done and change nothing")
}

func (f *rbacApplyFlags) run(ctx context.Context, a *app, dir string) error {
	if f.observe < 0 {
		return usageError(fmt.Errorf("--observe %s: want a time, or 0", f.observe), "")
	}
	t, err := f.load(a, dir)
	if err != nil {
		return err
	}
	if err := t.plan.CheckUsers(t.clients, f.also, t.live.Admin); err != nil {
		return failure(err, "add a client with that name to spec.clients, or issue its certificate with the CN of an existing client")
	}
	if untried := t.plan.Untried(t.clients); len(untried) > 0 {
		return failure(fmt.Errorf("user %s: %s has no certificate to try it with", untried[0], dir), "etcdsec pki issue -f "+shellword.Path(t.spec)+" "+shellword.Path(dir)+"   # or --present CERT,KEY")
	}
	state, err := t.survey(ctx)
	if err != nil {
		return err
	}
	if f.dryRun {
		if err := a.print(f.output, t.plan.Report(state)); err != nil {
			return err
		}
	}
	// Before the observation, which takes minutes. What a killed run left enabled has to be disabled.
	err = t.live.CheckReady(ctx, t.plan, state, t.clients)
	if err != nil && (f.dryRun || !state.Enabled || !state.Unverified) {
		return t.applyError(fmt.Errorf("%w\nnothing was changed", err))
	}
	if f.dryRun {
		return nil
	}
	if f.observe > 0 && t.plan.TakesCompaction(state) {
		a.narrate("observing for %s who compacts, before anything changes; --observe 0 skips this", f.observe)
		if err := t.live.ObserveCompaction(ctx, f.observe); err != nil {
			return failure(err, "etcdsec rbac plan -f "+shellword.Path(t.spec)+"   # lists the flags to set")
		}
	}
	return f.apply(ctx, a, t)
}

// apply changes etcd and holds the store's lock meanwhile: nobody may renew certificates while they
// are tried, and two runs must not undo each other's changes.
func (f *rbacApplyFlags) apply(ctx context.Context, a *app, t rbacTarget) error {
	release, err := durable.Lock(t.dir)
	if err != nil {
		return a.storeError(t.dir, err)
	}
	defer release()
	state, err := t.survey(ctx) // it may have changed meanwhile
	if err != nil {
		return err
	}
	report := t.plan.Report(state)
	outcome, err := t.live.Apply(ctx, t.plan, state, t.clients)
	if err != nil {
		return t.applyError(err)
	}
	report.Checks, report.Enabled = append(report.Checks, outcome.Checks...), true
	return a.print(f.output, report)
}

// applyError adds a hint to an error of apply.
func (t rbacTarget) applyError(err error) error {
	hint := "etcdsec rbac apply " + shellword.Path(t.dir) + " --dry-run   # shows what is still to do"
	_, open := errors.AsType[*rbac.OpenMemberError](err)
	_, nameless := errors.AsType[*rbac.IgnoredNameError](err)
	if open || nameless {
		hint = "start the member with --client-cert-auth"
	}
	if _, set := errors.AsType[*rbac.PasswordError](err); set {
		hint = "etcdsec rbac disable " + shellword.Path(t.dir) + "   # then apply again, at once: nobody is refused in between"
	}
	return failure(err, hint)
}
