package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/pki"
)

// pkiSignFlags hold the flags as the operator wrote them.
type pkiSignFlags struct {
	signFlags
	remote pki.RemoteFiles
}

func newPKISignCommand(a *app) *cobra.Command {
	var flags pkiSignFlags
	cmd := &cobra.Command{
		Use:   "sign DIR NAME FOLDER|FILE",
		Short: "Sign the certificate requests of a node",
		Long: `Sign the certificate requests (CSRs) that "etcdsec pki csr" made for NAME, a member, a
client or one leaf, into the store in DIR. The requests are a folder of .csr files, or the
one file of a leaf.

A request gives its public key and the proof that its maker has the private one. Subject, names, key
usages and lifetime come from the spec. A request is refused if it asks for anything else: another
subject, names of another member, to be a CA. So is a weak key, and a key that another certificate
has or had.

DIR then has the bundle for the node, without any key. Copy it there, and install it with
"etcdsec pki install".

With --remote, a site's own "cfssl serve" signs instead of the keys in DIR. It uses its profiles
server, client and peer, and the HMAC key in --remote-key. DIR must have the certificate of that CA
(etcdsec pki import authority). A certificate is accepted only if it matches the spec and verifies
below that CA.

Reads DIR, the requests, and the spec: DIR/cluster.yaml, or the one given with -f. Writes
only DIR. Uses the network only with --remote.`,
		Example: `  etcdsec pki sign ./store etcd-0 ./etcd-0/ --dry-run
  etcdsec pki sign ./store etcd-0 ./etcd-0/
  etcdsec pki sign ./store backup ./client.csr
  etcdsec pki sign ./store etcd-0 ./etcd-0/ \
    --remote https://ca.example:8888 --remote-key ./auth.hex`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if flags.remote.URL != "" && cmd.Flags().Changed("signer") {
				return usageError(errors.New("--signer does nothing with --remote, where the server signs"), "")
			}
			return flags.run(cmd.Context(), a, given[0], given[1], given[2])
		},
	}
	cmd.ValidArgsFunction = completeStoreNames
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiSignFlags) addFlags(cmd *cobra.Command) {
	f.signFlags.addFlags(cmd)
	cmd.Flags().StringVar(&f.remote.URL, "remote", "", "`URL` of a cfssl server that signs")
	cmd.Flags().StringVar(&f.remote.KeyPath, "remote-key", "", "`path` of its auth key, in hexadecimal")
	cmd.Flags().StringVar(&f.remote.CAPath, "remote-cacert", "", "`path` of the roots that verify its https (default: the system's)")
}

func (f *pkiSignFlags) run(ctx context.Context, a *app, dir, name, from string) error {
	var err error
	if f.spec, err = storeSpec(f.spec, dir); err != nil {
		return err
	}
	c, err := a.loadSpec(f.spec)
	if err != nil {
		return err
	}
	bundle, leaves, ok := pki.NewPlan(c).Find(name)
	if !ok {
		return usageError(fmt.Errorf("the spec has no member, client or leaf %q", name), "")
	}
	if inside, ok := errors.AsType[*pki.InStoreError](pki.CheckInstallTarget(c, bundle)); ok {
		return usageError(fmt.Errorf("%s reads its files in a store, %s, and has its keys there: to sign for other keys would leave it without any", name, inside.Path),
			fmt.Sprintf("etcdsec pki renew %s %s --new-key", shellword.Path(dir), shellword.Path(name)))
	}
	requests, err := pki.ReadRequests(from, leaves)
	if err != nil {
		return failure(err, "")
	}
	remote, err := f.remote.Open(a.files)
	if err != nil {
		return usageError(err, "")
	}
	next := func(c *cluster.Cluster, r pki.Result) []string {
		if r.Count(pki.ActionIssue, pki.ActionRenew) == 0 {
			return nil // it waits for something else, which is the hint
		}
		return []string{
			fmt.Sprintf("copy %s to the node of %s", filepath.Join(dir, filepath.FromSlash(bundle.Path)), name),
			fmt.Sprintf("there: etcdsec pki install -f cluster.yaml %s FOLDER %s --keys KEYS", name, cmp.Or(pki.InstallTarget(c, bundle), "TARGET")),
		}
	}
	return f.signFlags.run(ctx, a, dir, signing{change: pki.Change{Renewal: pki.Renewal{Requests: requests}}, remote: remote, next: next})
}
