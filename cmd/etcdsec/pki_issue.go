package main

import (
	"github.com/spf13/cobra"
)

func newPKIIssueCommand(a *app) *cobra.Command {
	var flags signFlags
	cmd := &cobra.Command{
		Use:   "issue -f cluster.yaml DIR",
		Short: "Issue every certificate of the spec that is missing",
		Long: `Issue every certificate of the spec that DIR does not hold yet: roots, issuing CAs,
a server and a peer leaf for each member, a leaf for each client. Existing
certificates are verified and never replaced, except revoked ones. A second run changes nothing. If a run was
killed, the next one finishes its work.

Reads the spec and DIR. Writes only DIR, keys with mode 0600. Uses no network.`,
		Example: `  etcdsec pki issue -f cluster.yaml ./store --dry-run
  etcdsec pki issue -f cluster.yaml ./store`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.run(cmd.Context(), a, given[0], signing{})
		},
	}
	flags.addFlags(cmd)
	return cmd
}
