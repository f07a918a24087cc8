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
		Long: `Renew the certificates of the store in DIR that are due: when a third of their lifetime is left.
A leaf is renewed too when it expired, when its names differ from the spec, or when its issuer was
replaced. Names come from the spec and never from the old certificate. With NAMEs, such as etcd-0,
etcd-0/peer or backup, only those leaves are renewed.

A leaf keeps its key unless --new-key is given. The old files stay as the bundle's previous version.
etcd and kube-apiserver read leaves at every handshake: copy the files to their nodes, and restart
nothing.

An issuing CA that is due is replaced by one with a new key, and all leaves below it are renewed,
where the key of its root is at hand: in DIR, opened by --root-key-identity or by
--root-key-passphrase-file, or in the program of the spec. Members and clients trust the roots, so
this too restarts nothing. Where that key is not at hand, leaves are renewed as long as they fit
below their issuer, and this verb, "pki status" and its metrics say from then on what a person has
to run. So they do for roots, which end years after that: see "pki recover".

Made for cron and systemd timers: run it daily, or four times in the shortest lifetime of the spec
if that is a few days. Works with the cluster down and with every leaf expired.

Exit status: 0 nothing is due any more, 1 something could not be renewed, 2 bad command line or
spec, 3 something is left for a person: a key to bring, a root that is due, a difference from the
spec.

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
	cmd.Flags().DurationVar(&f.renewal.Jitter, "jitter", 0, "`duration` by which a leaf may be due earlier, so that not all change on one day")
}

func (f *pkiRenewFlags) run(ctx context.Context, a *app, dir string, names []string) error {
	if f.renewal.Jitter < 0 {
		return usageError(fmt.Errorf("--jitter %s: want a duration such as 72h", f.renewal.Jitter), "")
	}
	if f.renewal.All && len(names) > 0 {
		return usageError(errors.New("--all and names exclude each other: give one of them"), "")
	}
	f.renewal.Names = names
	f.renewal.Due = !f.renewal.All && len(names) == 0
	return f.runInStore(ctx, a, dir, signing{change: pki.Change{Renewal: f.renewal}, next: pki.AfterRenewal})
}
