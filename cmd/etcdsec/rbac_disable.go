package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newRBACDisableCommand(a *app) *cobra.Command {
	var flags rbacFlags
	var remove, dryRun bool
	cmd := &cobra.Command{
		Use:   "disable [-f cluster.yaml] DIR",
		Short: "Disable RBAC: every client may do everything again",
		Long: `Disable RBAC. Every client whose certificate the members trust may then do everything in etcd.
The users and roles stay, so that apply finds them again; with --remove, those that the plan names
are deleted as well. Others never are. It takes one member that answers, whatever the plan says.

Reads the spec, of DIR unless -f is given, and asks etcd with the certificate of the first client of
role root in DIR. Writes whether RBAC is enabled to etcd, and with --remove the users and roles.

Exit status: 0 disabled, or it was, 1 it could not be, 2 bad command line or spec.`,
		Example: `  etcdsec rbac disable ./store --dry-run
  etcdsec rbac disable ./store
  etcdsec rbac disable ./store --remove`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			r, err := a.rbacRunOf(flags, given[0], true)
			if err != nil {
				return err
			}
			state, err := r.live.Users(cmd.Context())
			if err != nil {
				return failure(err, "")
			}
			changes := []string{}
			if state.Enabled {
				changes = append(changes, "disable RBAC")
			}
			if remove {
				changes = append(changes, changeTexts(r.plan.Removal(state))...)
			}
			if !dryRun {
				if err := r.live.Disable(cmd.Context(), r.plan, state, remove); err != nil {
					return failure(err, "")
				}
			}
			if flags.output == "json" {
				return a.printJSON(struct {
					SchemaVersion int      `json:"schema_version"`
					Cluster       string   `json:"cluster"`
					Changes       []string `json:"changes"`
				}{1, r.plan.Cluster, changes})
			}
			if len(changes) == 0 {
				_, err := fmt.Fprintln(a.stdout, "RBAC is disabled already")
				return err
			}
			for _, c := range changes {
				if _, err := fmt.Fprintln(a.stdout, c); err != nil {
					return err
				}
			}
			return nil
		},
	}
	flags.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&remove, "remove", false, "delete the users and roles of the plan as well")
	f.BoolVar(&dryRun, "dry-run", false, "print what would be done and change nothing")
	return cmd
}
