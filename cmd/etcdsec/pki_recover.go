package main

import (
	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

func newPKIRecoverCommand(a *app) *cobra.Command {
	var flags signFlags
	var newKey bool
	cmd := &cobra.Command{
		Use:   "recover DIR",
		Short: "Issue every certificate anew after all have expired",
		Long: `Issue every leaf of the store in DIR anew, with its existing key unless that was revoked. Before that, issue each CA that
expired or is due, and each issuing CA that differs from the spec. It needs the keys, but no running
etcd, no API server and no valid certificate. To issue an issuing CA it needs the key of its root.

The roots keep their keys and names. If a root had expired or was due, every bundle gets its new
certificate, and everybody who trusts the root needs the new file and a restart. If the root was
only due, old and new files work together, so you can restart members one by one. At the end it
prints the order in which to copy files and start servers.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes only DIR.`,
		Example: `  etcdsec pki recover ./store --dry-run
  etcdsec pki recover ./store`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			renewal := pki.Renewal{All: true, Authorities: true, NewKey: newKey}
			return flags.runInStore(cmd.Context(), a, given[0], signing{change: pki.Change{Renewal: renewal}, next: pki.AfterRecovery})
		},
	}
	flags.addFlags(cmd)
	cmd.Flags().BoolVar(&newKey, "new-key", false, "make a new key for each leaf")
	return cmd
}
