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
	quiet   bool
}

func newPKIRenewCommand(a *app) *cobra.Command {
	var flags pkiRenewFlags
	cmd := &cobra.Command{
		Use:   "renew DIR [NAME...]",
		Short: "Renew the certificates that are due",
		Long: `Renew the certificates of the store in DIR that are due: when a third of their lifetime is left.
A leaf is renewed too when it expired, was revoked, when its names differ from the spec, or when its
issuer was replaced. Names come from the spec. An imported leaf also keeps the CN, the names and the
uses that it was imported with, because somebody may rely on them; --forget-import drops what the spec
does not have. With NAMEs, such as etcd-0, etcd-0/peer or backup, only those leaves are renewed.

A leaf keeps its key unless --new-key is given or its certificate was revoked. No verb certifies a
key again that was revoked as compromised, under any name. One previous version of each bundle is
kept, so that you can go back to files that worked. Each run removes older ones, with their keys.
etcd and kube-apiserver read leaves at every handshake: copy the files to their nodes, and restart
nothing.

If the address of a member changed in the spec, this verb tells in which order the certificates, the
configuration and the cluster must learn it ("etcdctl member update"), and how to make certificates that
are valid for both addresses until the member has moved.

If an issuing CA is due or was revoked, and the key of its root is available, the CA gets a new key
and certificate, and all leaves below it are renewed. The key of the root is available if it is in DIR, if
--root-key-identity or --root-key-passphrase-file opens it, or if the spec names a program that has
it. Members and clients trust the roots, so this needs no restart either. If the key is not
available, leaves are renewed as long as they end before their issuer, and from then on this verb,
"pki status" and its metrics tell the command that a person must run. Roots end years later, and
need a person in the same way: see "pki recover".

Run it daily from cron or a systemd timer; if the shortest lifetime of the spec is a few days, run
it four times in that lifetime. It also works when the cluster is down and every leaf has expired.

Exit status: 0 nothing is due any more, 1 something could not be renewed, 2 bad command line or
spec, 3 something is left for a person: a key to bring, a root that is due, a difference from the
spec.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes only DIR.`,
		Example: `  etcdsec pki renew ./store --dry-run
  etcdsec pki renew ./store --jitter 72h --quiet   # daily, by a timer
  etcdsec pki renew ./store etcd-0 --new-key
  etcdsec pki renew -f cluster.yaml ./store        # an address changed in the spec`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.run(cmd.Context(), a, given[0], given[1:])
		},
	}
	cmd.ValidArgsFunction = completeStoreNames
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiRenewFlags) addFlags(cmd *cobra.Command) {
	f.signFlags.addFlags(cmd)
	cmd.Flags().BoolVar(&f.renewal.All, "all", false, "renew every leaf, due or not")
	cmd.Flags().BoolVar(&f.renewal.NewKey, "new-key", false, "make a new key for each renewed leaf")
	cmd.Flags().BoolVar(&f.renewal.ForgetImport, "forget-import", false, "drop the CNs, names and uses that imported leaves have and the spec does not")
	cmd.Flags().DurationVar(&f.renewal.Jitter, "jitter", 0, "`duration` by which a leaf may be due earlier, so that they do not all change on one day")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "print nothing if nothing is due, so that cron sends no mail")
}

func (f *pkiRenewFlags) run(ctx context.Context, a *app, dir string, names []string) error {
	if f.renewal.Jitter < 0 {
		return usageError(fmt.Errorf("--jitter %s: want a duration such as 72h", f.renewal.Jitter), "")
	}
	if f.renewal.All && len(names) > 0 {
		return usageError(errors.New("--all and names exclude each other: give one of them"), "")
	}
	if f.renewal.Jitter > 0 && (f.renewal.All || len(names) > 0) {
		return usageError(errors.New("--jitter does nothing with --all or names, which renew what is not due too"), "")
	}
	f.renewal.Names = names
	f.renewal.Due = !f.renewal.All && len(names) == 0
	return f.runInStore(ctx, a, dir, signing{change: pki.Change{Renewal: f.renewal}, next: pki.AfterRenewal, nextDue: true, quiet: f.quiet})
}
