package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// pkiImportAuthorityFlags hold the flags as the operator wrote them.
type pkiImportAuthorityFlags struct {
	spec, output string
	dryRun       bool
}

// authoritiesResult is the JSON of pki import authority.
type authoritiesResult struct {
	SchemaVersion int         `json:"schema_version"`
	Dir           string      `json:"dir"`
	DryRun        bool        `json:"dry_run"`
	Authorities   []authority `json:"authorities"`
}

type authority struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
}

func newPKIImportAuthorityCommand(a *app) *cobra.Command {
	var flags pkiImportAuthorityFlags
	cmd := &cobra.Command{
		Use:   "authority -f cluster.yaml DIR NAME=FILE...",
		Short: "Copy a site's own CA into a store",
		Long: `Copy the certificates of a site's own CAs into a store, as its authorities: existing roots, or
issuing CAs of a "cfssl serve". Only certificates are copied. The keys stay where they are, and
"etcdsec pki sign --remote" asks the server that has them.

Give a root before the CAs that it issued. If another CA signed a root of the store, its new
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
	known := pki.NewPlan(c).Authorities
	var files []pki.AuthorityFile
	for _, argument := range arguments {
		name, file, _ := strings.Cut(argument, "=")
		if !slices.ContainsFunc(known, func(p pki.Authority) bool { return p.Name == name }) {
			return usageError(fmt.Errorf("%q: the plan has no authority %q", argument, name), "")
		}
		files = append(files, pki.AuthorityFile{Name: name, Path: file})
	}
	adoption, err := pki.ReadAuthorities(files)
	if err != nil {
		return failure(err, "")
	}
	if err := pki.AdoptInto(dir, c, adoption, a.now(), f.dryRun); err != nil {
		return a.adoptError(dir, err)
	}
	result := authoritiesResult{SchemaVersion: 1, Dir: dir, DryRun: f.dryRun}
	for _, file := range files {
		result.Authorities = append(result.Authorities, authority{file.Name, adoption.Authorities[file.Name].Certificate.Subject.String()})
	}
	if f.output == "json" {
		return a.printJSON(result)
	}
	for _, t := range result.Authorities {
		_, _ = fmt.Fprintf(a.stdout, "%s  %s\n", t.Name, t.Subject) // the writer remembers its error
	}
	if f.dryRun {
		a.narrate("dry run: nothing was written in %s", dir)
	}
	return nil
}
