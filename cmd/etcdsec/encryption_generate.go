package main

import (
	"crypto/rand"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
	"github.com/etcdsec/etcdsec/pki"
)

// encryptionGenerateFlags hold the flags as the operator wrote them.
type encryptionGenerateFlags struct {
	spec   string
	output string
	dryRun bool
}

func newEncryptionGenerateCommand(a *app) *cobra.Command {
	var flags encryptionGenerateFlags
	cmd := &cobra.Command{
		Use:   "generate -f cluster.yaml DIR",
		Short: "Make an EncryptionConfiguration with a new key",
		Long: `Make the EncryptionConfiguration of spec.encryption in DIR/kubernetes, with one random key of 32
bytes, named by the day and by its SHA-256. A second file has the settings that kubeadm needs for
it. The flags for kube-apiserver are printed.

  provider   secretbox (default), kms with a socket, aesgcm or aescbc
  resources  such as secrets, deployments.apps, "*.apps", "*." (the core group) or "*.*"
  exclude    resources that a wildcard covers and that stay in plaintext
  phase      encrypted (default): nothing is stored in plaintext, as in a new cluster, and
             plaintext is not read. enabling: some objects are still in plaintext, and can be read.
             disabling: plaintext is written, and encrypted objects can still be read.

An existing key is never replaced. A second run changes resources and phase to match the spec, and
refuses a change that would make stored values unreadable. Whoever loses the file loses the data:
keep a copy, but not together with the backups of etcd.

Reads DIR and the spec: DIR/cluster.yaml, or the one given with -f. Writes only DIR/kubernetes,
every file with mode 0600. Uses no network. Keys are never printed.`,
		Example: `  etcdsec encryption generate -f cluster.yaml ./store --dry-run
  etcdsec encryption generate -f cluster.yaml ./store
  etcdsec encryption generate ./store -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error { return flags.run(a, given[0]) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *encryptionGenerateFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be done and write nothing")
}

func (f *encryptionGenerateFlags) run(a *app, dir string) error {
	spec, err := specOrOwn(f.spec, dir)
	if err != nil {
		return err
	}
	c, err := a.loadSpec(spec)
	if err != nil {
		return err
	}
	store, err := a.openStore(dir, spec, c, f.dryRun)
	if err != nil {
		return err
	}
	defer store.Close()
	// A rotation locks this folder, and not the whole store.
	var locks durable.Locks
	defer locks.Release()
	if err := locks.TakeExisting([]string{filepath.Join(dir, pki.KubernetesDir)}); err != nil {
		return a.storeError(dir, err)
	}
	if rotation.UnderWay(filepath.Join(dir, pki.KubernetesDir)) {
		return failure(errors.New("a rotation is under way: until it ends, only the rotation may change the file"), "etcdsec encryption rotate "+shellword.Path(dir)+" --kubeconfig admin.conf")
	}
	p, err := encryption.Prepare(c, dir, pki.KubernetesDir, f.dryRun, rand.Reader, a.now())
	if kept, ok := errors.AsType[*encryption.KeptError](err); ok {
		return failure(err, "etcdsec encryption lint "+shellword.Path(kept.Path))
	}
	if err == nil && !f.dryRun {
		err = p.Write()
	}
	if err != nil {
		return failure(err, "")
	}
	for _, warning := range encryption.Warnings(c) {
		a.narrate("%s", warning)
	}
	if p.DryRun {
		a.narrate("dry run: nothing was written")
	}
	return a.print(f.output, p)
}
