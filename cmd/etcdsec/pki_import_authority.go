package main

import (
	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// pkiImportAuthorityFlags hold the flags as the operator wrote them.
type pkiImportAuthorityFlags struct {
	spec, output string
	dryRun       bool
}

func newPKIImportAuthorityCommand(a *app) *cobra.Command {
	var flags pkiImportAuthorityFlags
	cmd := &cobra.Command{
		Use:   "authority -f cluster.yaml DIR NAME=FILE...",
		Short: "Copy a site's own CA into a store",
		Long: `Copy the certificates of a site's own CAs into a store, as its authorities: existing roots, or
issuing CAs of a "cfssl serve". Only certificates are copied. The keys stay where they are, and
"etcdsec pki sign --remote" asks the server that has them.

Give a root before the CAs that it issued, or with them. Refused are an issuing CA whose root is not
there or did not sign it, and one CA as two authorities. If another CA signed a root of the store, its new
certificate for the same key replaces the one in the store. The names are client-root, peer-root
and, in hierarchy issuing, server-issuing, client-issuing and peer-issuing.

Reads the spec and the files. Writes only DIR. Uses no network.`,
		Example: `  etcdsec pki import authority -f cluster.yaml ./store \
    client-root=site-ca.crt peer-root=site-peer-ca.crt`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given[0], given[1:])
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiImportAuthorityFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "check everything and write nothing")
}

func (f *pkiImportAuthorityFlags) run(a *app, dir string, arguments []string) error {
	c, err := a.loadSpec(f.spec)
	if err != nil {
		return err
	}
	files, err := pki.ParseAuthorityFiles(arguments, c)
	if err != nil {
		return usageError(err, "")
	}
	result, err := pki.AdoptAuthorities(dir, c, files, a.now(), f.dryRun)
	if err != nil {
		return a.adoptError(dir, err)
	}
	return a.printResult(f.output, result)
}
