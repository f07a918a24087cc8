package main

import (
	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/manifests"
	"github.com/etcdsec/etcdsec/pki"
)

// pkiVerifyFlags hold the flags as the operator wrote them.
type pkiVerifyFlags struct{ spec, output string }

func newPKIVerifyCommand(a *app) *cobra.Command {
	var flags pkiVerifyFlags
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Find everything that is wrong with a store",
		Long: `Find everything that is wrong with the store in DIR:

  chains        that do not verify for each of their uses, or have expired
  certificates  with names, extended key usages or name constraints that differ from the spec, or
                that outlive their issuer
  keys          that belong to another certificate, that others can read, or in the wrong place,
                in hidden folders too
  leftovers     of runs that were killed, such as old versions with keys; the next run removes them
  symlinks      that lead out of the store
  owners        other than root and the caller, who could change the store
  duplicates    of keys and serial numbers
  addresses     that a member's configuration gives to others, and that differ from the spec, or for
                which the member's certificate is not valid
  the ledger    if it was edited, reordered or cut, or if its certificates differ from those on
                disk

Prints one finding for each fault, with its fix. A root's key in plain text is only a note while the
store is younger than a day: it does not change the exit status. Reads DIR, and the spec: DIR/cluster.yaml, or the
one given with -f. Writes nothing.

Exit status: 0 no findings, 1 the store could not be checked, 2 bad command line or spec,
3 findings.`,
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
	store, err := pki.InspectStore(dir, c)
	if err != nil {
		return a.storeError(dir, err)
	}
	defer store.Close()
	found, err := store.Verify(c, a.now())
	if err != nil {
		return failure(err, "")
	}
	hosts, err := manifests.ReadConfigured(c, store.ReadConfiguration)
	if err != nil {
		return failure(err, "")
	}
	configured := make([]pki.ConfiguredHost, 0, len(hosts))
	for _, h := range hosts {
		configured = append(configured, pki.ConfiguredHost(h))
	}
	found = append(found, store.VerifyConfigurations(c, configured)...)
	result := pki.VerifyResult{SchemaVersion: 1, Dir: dir, Cluster: c.Name, Findings: found}
	if err := a.printResult(f.output, result); err != nil || result.Faults() == 0 {
		return err
	}
	return statusError{status: statusFindings}
}
