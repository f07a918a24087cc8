package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

func newPKIRecoverCommand(a *app) *cobra.Command {
	var flags signFlags
	var newKey, ledger bool
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

With --ledger it issues nothing. It mends a ledger that was restored from an earlier copy: it records
the certificates in DIR that the ledger lacks, if they verify below the roots that the ledger has, and
the revocations that it lacks, if a list in DIR has them and its signer verifies it. Until then, no
verb signs anything, because the next list would lack what was revoked. If there is no ledger at all,
a new one begins with the roots in DIR: make sure first that they are those of this cluster.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes only DIR.`,
		Example: `  etcdsec pki recover ./store --dry-run
  etcdsec pki recover ./store
  etcdsec pki recover ./store --ledger --dry-run   # the ledger is older than the files`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if ledger {
				return flags.reconcile(a, cmd, given[0])
			}
			renewal := pki.Renewal{All: true, Authorities: true, NewKey: newKey}
			return flags.runInStore(cmd.Context(), a, given[0], signing{change: pki.Change{Renewal: renewal}, next: pki.AfterRecovery})
		},
	}
	flags.addFlags(cmd)
	cmd.Flags().BoolVar(&newKey, "new-key", false, "make a new key for each leaf")
	cmd.Flags().BoolVar(&ledger, "ledger", false, "issue nothing, and record in the ledger what DIR has and it lacks")
	return cmd
}

// reconcile mends the ledger of the store in dir.
func (f signFlags) reconcile(a *app, cmd *cobra.Command, dir string) error {
	for _, name := range []string{"new-key", "owner", "signer", "root-key-recipient", "root-key-recipients-file", "root-key-passphrase-file", "root-key-identity", "root-key-destroy", "yes"} {
		if cmd.Flags().Changed(name) {
			return usageError(fmt.Errorf("--%s does nothing with --ledger, which issues nothing", name), "")
		}
	}
	spec, err := storeSpec(f.spec, dir)
	if err != nil {
		return err
	}
	c, err := a.loadSpec(spec)
	if err != nil {
		return err
	}
	store, err := a.openStore(dir, spec, c, true) // it makes no folder
	if err != nil {
		return err
	}
	defer store.Close()
	result, err := store.Reconcile(c, a.now(), f.dryRun)
	if err != nil {
		return applyError(err)
	}
	return a.printResult(f.output, result)
}
