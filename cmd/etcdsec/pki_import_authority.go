package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

func newPKIImportAuthorityCommand(a *app) *cobra.Command {
	var spec string
	cmd := &cobra.Command{
		Use:   "authority -f cluster.yaml DIR NAME=FILE...",
		Short: "Take a site's own CA into a store",
		Long: `Take the certificates of a site's own CAs into a store as authorities of the plan: roots
that exist already, or issuing CAs of a "cfssl serve". Only certificates are taken: their
keys stay where they are, and "etcdsec pki sign --remote" asks the server that has them.

Give roots before what they issued. The names are client-root, peer-root and, in hierarchy
issuing, server-issuing, client-issuing and peer-issuing.

Reads the spec and the files. Writes DIR only. Uses no network.`,
		Example: `  etcdsec pki import authority -f cluster.yaml ./store client-root=site-ca.crt peer-root=site-peer-ca.crt`,
		Args:    args(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.importAuthorities(spec, given[0], given[1:])
		},
	}
	specFlag(cmd, &spec)
	return cmd
}

func (a *app) importAuthorities(spec, dir string, files []string) error {
	c, err := a.loadSpec(spec)
	if err != nil {
		return err
	}
	plan := pki.NewPlan(c)
	adoption := pki.Adoption{Authorities: map[string]pki.AdoptedCA{}}
	for _, argument := range files {
		name, file, _ := strings.Cut(argument, "=")
		if !slices.ContainsFunc(plan.Authorities, func(p pki.Authority) bool { return p.Name == name }) {
			return usageError(fmt.Errorf("%q: the plan has no authority %q", argument, name), "")
		}
		certs, err := pki.ReadCertificates(file)
		if err != nil {
			return failure(err, "")
		}
		if len(certs) != 1 {
			return failure(fmt.Errorf("%s holds %d certificates, want the CA's own alone", file, len(certs)), "")
		}
		adoption.Authorities[name] = pki.AdoptedCA{Certificate: certs[0]}
	}
	if err := a.adopt(dir, c, plan, adoption, false); err != nil {
		return err
	}
	for _, name := range files {
		_, _ = fmt.Fprintln(a.stdout, name) // the writer remembers its error
	}
	return nil
}
