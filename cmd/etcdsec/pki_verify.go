package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// pkiVerifyFlags are what the operator wrote.
type pkiVerifyFlags struct{ spec, output string }

// verifyResult is the result in JSON.
type verifyResult struct {
	SchemaVersion int           `json:"schema_version"`
	Dir           string        `json:"dir"`
	Cluster       string        `json:"cluster"`
	Findings      []pki.Finding `json:"findings"`
}

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
	result := verifyResult{SchemaVersion: 1, Dir: dir, Cluster: c.Name, Findings: found}
	if f.output == "json" {
		err = a.printJSON(result)
	} else {
		a.printFindings(result)
	}
	if err == nil && len(found) > 0 {
		return statusError{status: statusFindings}
	}
	return err
}

func (a *app) printFindings(r verifyResult) {
	for _, f := range r.Findings {
		a.printFinding(filepath.Join(r.Dir, f.Path)+"\n  ", f)
	}
	a.narrate("cluster %s in %s: %d findings", r.Cluster, r.Dir, len(r.Findings))
}

// printFinding prints a finding behind the place where it is, and its fix line by line.
func (a *app) printFinding(place string, f pki.Finding) {
	fix := strings.ReplaceAll(f.Fix.String(), "\n", "\n       ")
	_, _ = fmt.Fprintf(a.stdout, "%s%s\n  fix: %s\n", place, f.Problem, fix) // the writer remembers its error
}
