package main

import (
	"context"

	"github.com/spf13/cobra"
)

// rbacDisableFlags hold the flags as the operator wrote them.
type rbacDisableFlags struct {
	rbacFlags

	remove bool
	dryRun bool
}

func newRBACDisableCommand(a *app) *cobra.Command {
	var flags rbacDisableFlags
	cmd := &cobra.Command{
		Use:   "disable [-f cluster.yaml] DIR",
		Short: "Disable RBAC: every client may do everything again",
		Long: `Disable RBAC. Every client whose certificate the members trust may then do everything in etcd.
The users and roles stay, so that apply finds them again; with --remove, those that the plan names
are deleted as well, and no others. One member that answers is enough.

Reads the spec (DIR/cluster.yaml, or the one given with -f). Asks etcd with the certificate of the
first client of role root in DIR. Writes to etcd whether RBAC is enabled, and with --remove its users
and roles.

Exit status: 0 disabled now or before, 1 it could not be disabled, 2 bad command line or spec.`,
		Example: `  etcdsec rbac disable ./store --dry-run
  etcdsec rbac disable ./store
  etcdsec rbac disable ./store --remove`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return flags.run(cmd.Context(), a, given[0]) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *rbacDisableFlags) addFlags(cmd *cobra.Command) {
	f.rbacFlags.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.remove, "remove", false, "delete the users and roles of the plan as well")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done and change nothing")
}

func (f *rbacDisableFlags) run(ctx context.Context, a *app, dir string) error {
	t, err := f.loadForDisable(a, dir)
	if err != nil {
		return err
	}
	state, err := t.live.Users(ctx)
	if err != nil {
		return failure(err, "")
	}
	if !f.dryRun {
		if err := t.live.Disable(ctx, t.plan, state, f.remove); err != nil {
			return failure(err, "")
		}
	}
	return a.print(f.output, t.plan.Disabling(state, f.remove))
}
