package main

import (
	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// pkiVerifyFlags hold the flags as the operator wrote them.
type pkiVerifyFlags struct{ spec, output string }

func newPKIVerifyCommand(a *app) *cobra.Command {
	var flags pkiVerifyFlags
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Find everything that is wrong with a store",
		Long: `Look for everything that is wrong with the store in DIR: chains that do not verify for
each use, keys that are another certificate's, names that are not the spec's, extended key
usages and name constraints that are not the plan's, lifetimes beyond an issuer's, what has
expired, keys that others can read or that lie where none belongs, symlinks out of the
store, keys and serial numbers used twice, a ledger that was edited, reordered or cut, and
certificates that the ledger has and the disk has not, or the other way round.

One finding for each fault, with its fix. Status 0: none; 3: findings; 1: it could not
tell. Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes nothing.`,
		Example: `  etcdsec pki verify ./store
  etcdsec pki verify ./store -o json
  etcdsec pki verify -f cluster.yaml ./store      # against a spec that changed`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given[0])
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiVerifyFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
}

func (f *pkiVerifyFlags) run(a *app, dir string) error {
	spec, err := storeSpec(f.spec, dir)
	if err != nil {
		return err
	}
	c, err := a.loadSpec(spec)
	if err != nil {
		return err
	}
	store, err := pki.PeekStore(dir, c)
	if err != nil {
		return a.storeError(dir, err)
	}
	defer store.Close()
	found, err := store.Verify(c, a.now())
	if err != nil {
		return failure(err, "")
	}
	result := pki.VerifyResult{SchemaVersion: 1, Dir: dir, Cluster: c.Name, Findings: found}
	if err := a.printResult(f.output, result); err != nil || len(found) == 0 {
		return err
	}
	return statusError{status: statusFindings}
}
