package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/pki"
)

// pkiInstallFlags hold the flags as the operator wrote them.
type pkiInstallFlags struct {
	spec, output, keys, owner string
	newTrust, anyNode, dryRun bool
}

func newPKIInstallCommand(a *app) *cobra.Command {
	var flags pkiInstallFlags
	cmd := &cobra.Command{
		Use:   "install -f cluster.yaml NAME FOLDER TARGET",
		Short: "Install signed certificates on their node",
		Long: `Install the signed bundle of NAME, a member or a client, from FOLDER into TARGET, where etcd or the
client reads it. Run it on the node that made the keys. Before it writes anything, it checks that
each certificate belongs to its key, that it verifies below the root in FOLDER for each of its uses,
that TARGET has the same root, and that a member's certificate names the addresses of this node.
These include the addresses from which the node reaches the other members; they refuse a peer whose
address is not in its certificate. Revocation lists must be signed by the CA that the plan has for
them, must not be older than those in TARGET, and must not have a certificate of FOLDER.

All files of a folder change at once, also for a container that mounts it: they become symlinks
through "..data" to a versioned folder next to them. One previous version is kept, so that you can
go back to files that worked; each install removes older ones, with their keys. etcd reads the files
at the next handshake; restart nothing.

Reads FOLDER, the keys and the spec. Writes only TARGET, and locks it: of two installs at the same
time, one is refused. It asks the kernel for routes and sends nothing.`,
		Example: `  etcdsec pki install -f cluster.yaml etcd-0 ./signed /etc/etcd/pki --keys ./new --dry-run
  etcdsec pki install -f cluster.yaml etcd-0 ./signed /etc/etcd/pki --keys ./new
  etcdsec pki install -f cluster.yaml etcd-0 ./signed /etc/etcd/pki   # renewed, same keys`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given[0], given[1], given[2])
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiInstallFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().StringVar(&f.keys, "keys", "", "`folder` of the keys that \"pki csr\" made (default: TARGET's own)")
	cmd.Flags().StringVar(&f.owner, "owner", "", "`user[:group]` to own the files, by name or number (default: TARGET's owner)")
	cmd.Flags().BoolVar(&f.newTrust, "new-trust", false, "replace TARGET's roots if they differ; then restart the programs that read them")
	cmd.Flags().BoolVar(&f.anyNode, "any-node", false, "do not compare the names with this machine's addresses")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "check everything and write nothing")
}

func (f *pkiInstallFlags) run(a *app, name, folder, target string) error {
	c, err := a.loadSpec(f.spec)
	if err != nil {
		return err
	}
	bundle, leaves, ok := pki.NewPlan(c).Find(name)
	if !ok {
		return usageError(fmt.Errorf("the spec has no member or client %q", name), "")
	}
	bundle.Leaves = leaves
	config := pki.InstallConfig{Signed: folder, Keys: f.keys, Target: target, Now: a.now(), NewTrust: f.newTrust}
	if config.Owner, err = parseOwner(f.owner); err != nil {
		return err
	}
	if !f.anyNode {
		if config.Own, config.Sources, err = pki.NodeAddresses(c, name); err != nil {
			return failure(err, "")
		}
	}
	result, err := pki.InstallBundle(bundle, config, f.dryRun)
	if _, unfinished := errors.AsType[*pki.UnfinishedError](err); unfinished {
		return failure(err, resumeHint)
	}
	if inside, ok := errors.AsType[*pki.InStoreError](err); ok {
		return usageError(err, fmt.Sprintf("etcdsec pki renew %s %s   # changes the files of a store in place, and with --new-key their keys", shellword.Path(inside.Store), shellword.Path(name)))
	}
	if errors.Is(err, durable.ErrLocked) {
		return a.storeError(target, err)
	}
	if err != nil {
		return failure(err, "nothing changed in "+target)
	}
	return a.printResult(f.output, result)
}
