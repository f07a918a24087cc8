package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/policies/rbac"
)

// rbacVerifyFlags are the flags of rbac verify.
type rbacVerifyFlags struct{ rbacFlags }

func newRBACVerifyCommand(a *app) *cobra.Command {
	var flags rbacVerifyFlags
	cmd := &cobra.Command{
		Use:   "verify [-f cluster.yaml] DIR",
		Short: "Prove that every certificate may do what is planned, and no more",
		Long: `Compare the users and roles of etcd with the plan, and present the certificate of every client
in DIR to every member: reads, writes and watches inside and outside of its keys, compaction,
leases, status, members, alarms, a snapshot's first bytes, and the administration of users. Try to log
in with a password as every user of the plan, none of which has one. None of these requests changes
the store: the write depends on a condition that is never true.

Reads the spec (DIR/cluster.yaml, or the one given with -f) and the certificates and keys of the
clients in DIR. Asks etcd with the certificate of the first client of role root. Writes only the
report.

Exit status: 0 as planned, 1 not everything could be checked, 2 bad command line, or a spec that is
refused, 3 something is not as planned, or RBAC is disabled.`,
		Example: `  etcdsec rbac verify ./store
  etcdsec rbac verify ./store -o json
  etcdsec rbac verify ./store --present old-client.crt,old-client.key`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return flags.run(cmd.Context(), a, given[0]) },
	}
	flags.addFlags(cmd)
	flags.addPresentFlag(cmd)
	return cmd
}

func (f *rbacVerifyFlags) run(ctx context.Context, a *app, dir string) error {
	t, err := f.load(a, dir)
	if err != nil {
		return err
	}
	state, err := t.survey(ctx)
	if err != nil {
		return err
	}
	report := t.plan.Report(state)
	if state.Enabled {
		checks, err := t.live.Verify(ctx, t.plan, state.Members, t.clients)
		if err != nil {
			return failure(err, "")
		}
		report.Checks = append(report.Checks, checks...)
	}
	if err := a.print(f.output, report); err != nil {
		return err
	}
	switch report.Verdict() {
	case rbac.Unknown:
		return failure(errors.New("some checks could not be made"), "")
	case rbac.Denied:
		return statusError{status: statusFindings}
	case rbac.Allowed:
	}
	return nil
}
