package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/policies/rbac"
)

func newRBACVerifyCommand(a *app) *cobra.Command {
	var flags rbacFlags
	cmd := &cobra.Command{
		Use:   "verify [-f cluster.yaml] DIR",
		Short: "Prove that every certificate may do what is planned, and no more",
		Long: `Compare the users and roles of etcd with the plan, and present the certificate of every client
in DIR to every member: reads, writes and watches inside and outside of its keys, compaction,
leases, status, members, alarms, a snapshot's first bytes, and the administration of users. None
of these requests changes the store: the write is on a condition that is never true.

Reads the spec, of DIR unless -f is given, and the certificates and keys of the clients in DIR, and
asks etcd with that of the first client of role root. Writes only the report.

Exit status: 0 as planned, 1 it cannot be told, 2 bad command line, or a spec that is refused,
3 something is not as planned, or RBAC is disabled.`,
		Example: `  etcdsec rbac verify ./store
  etcdsec rbac verify ./store -o json
  etcdsec rbac verify ./store --present old-client.crt,old-client.key`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			r, err := a.rbacRunOf(flags, given[0], false)
			if err != nil {
				return err
			}
			state, err := r.state(cmd.Context())
			if err != nil {
				return err
			}
			report := r.planned(state)
			if state.Enabled {
				checks, err := r.live.Verify(cmd.Context(), r.plan, state.Members, r.clients)
				if err != nil {
					return failure(err, "")
				}
				report.Checks = append(report.Checks, checks...)
			}
			if err := a.printRBACReport(report, flags.output); err != nil {
				return err
			}
			return verifiedStatus(report)
		},
	}
	flags.addFlags(cmd)
	flags.addClientFlags(cmd)
	return cmd
}

func verifiedStatus(r rbacReport) error {
	if slices.ContainsFunc(r.Checks, func(c rbac.Check) bool { return c.Measured == rbac.Unknown }) {
		return failure(errUnverified, "")
	}
	wrong := slices.ContainsFunc(r.Checks, func(c rbac.Check) bool { return !c.OK() })
	if wrong || len(r.Changes)+len(r.Extra) > 0 {
		return statusError{status: statusFindings}
	}
	return nil
}
