package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// pkiRenewFlags hold the flags as the operator wrote them.
type pkiRenewFlags struct {
	signFlags
	renewal pki.Renewal
}

func newPKIRenewCommand(a *app) *cobra.Command {
	var flags pkiRenewFlags
	cmd := &cobra.Command{
		Use:   "renew DIR [NAME...]",
		Short: "Renew the certificates that are due",
		Long: `Renew the leaves of the store in DIR that are due: a third of their lifetime is left,
or they expired, or their names are no longer those of the spec, or their issuer was
replaced. Names are taken from the spec and never from the old certificate. With NAMEs,
such as etcd-0, etcd-0/peer or backup, those and nothing else are renewed.

A leaf keeps its key unless --new-key is given, and the files before are kept as the
bundle's previous version. etcd and kube-apiserver read leaves anew at every handshake:
after the files were copied to their nodes, nothing has to be restarted.

Made for cron and systemd timers: it does its work once and exits with 0 when all is well
again, 1 when something could not be renewed, 3 when something is left that is not as the
spec wants it. Works with the cluster down and with every leaf expired.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes DIR only.`,
		Example: `  etcdsec pki renew ./store --dry-run
  etcdsec pki renew ./store --jitter 72h           # daily, by a timer
  etcdsec pki renew ./store etcd-0 --new-key
  etcdsec pki renew -f cluster.yaml ./store        # an address changed in the spec`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.run(cmd.Context(), a, given[0], given[1:])
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiRenewFlags) addFlags(cmd *cobra.Command) {
	f.signFlags.addFlags(cmd)
	cmd.Flags().BoolVar(&f.renewal.All, "all", false, "renew every leaf, due or not")
	cmd.Flags().BoolVar(&f.renewal.NewKey, "new-key", false, "make a new key for each leaf renewed")
	cmd.Flags().DurationVar(&f.renewal.Jitter, "jitter", 0, "let each leaf be due earlier by up to `duration`, so that they do not all change on one day")
}

func (f *pkiRenewFlags) run(ctx context.Context, a *app, dir string, names []string) error {
	if f.renewal.Jitter < 0 {
		return usageError(fmt.Errorf("--jitter %s: want a duration such as 72h", f.renewal.Jitter), "")
	}
	if f.renewal.All && len(names) > 0 {
		return usageError(errors.New("--all and names together: which of the two?"), "")
	}
	f.renewal.Names = names
	f.renewal.Due = !f.renewal.All && len(names) == 0
	return f.runInStore(ctx, a, dir, signing{change: pki.Change{Renewal: f.renewal}, next: pki.AfterRenewal})
}
