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
		Short: "Issue every certificate anew after all has expired",
		Long: `Issue every leaf of the store in DIR anew, and before that each CA that expired or is due,
and each issuing CA that is not as the spec wants it, with the keys they have. It needs no
running etcd, no API server and no valid certificate, only the keys; where a root's key is
kept apart, it is needed for the issuing CAs below it.

The roots keep their keys and names. Where a root itself had expired, its new certificate
is in every bundle, and whoever trusts it must get the new file. The order in which to
copy and start things is printed at the end.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes DIR only.`,
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
