package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
	"github.com/etcdsec/etcdsec/pki"
)

// encryptionRotateFlags hold the flags of encryption rotate and encryption rotate status as the
// operator wrote them.
type encryptionRotateFlags struct {
	spec       string
	kubeconfig string
	context    string
	apiServers []string
	install    []string
	to         string
	minAge     time.Duration
	step       bool
	dryRun     bool
	wait       time.Duration
	rate       float64
	census     rotationCensusFlags
	output     string
}

func newEncryptionRotateCommand(a *app) *cobra.Command {
	var flags encryptionRotateFlags
	cmd := &cobra.Command{
		Use:   "rotate [-f cluster.yaml] DIR --kubeconfig FILE",
		Short: "Encrypt stored objects with a new key, and lose nothing",
		Long: `Change what encrypts the objects in etcd: to a new key, to another provider (--to), from
plaintext, or back to it (--to identity), while every API server writes.

  1  the new key is added as the second: every API server can read with it
  2  it becomes the first: every API server writes with it
  3  every object is rewritten, and a census of etcd proves that no object needs the old key;
     then the old key is dropped

Between two stages every API server is asked at its own address, and must report that it has
loaded exactly the file that was brought to it. For that it needs
--encryption-provider-config-automatic-reload=true, or a restart by you. The rotation waits for an
API server that is down or late, and stops at one that nobody named; nothing is lost. If it is
stopped, even by kill -9, the next run continues: it works out the next step from the file in force
and from what the API servers report.

Objects are rewritten by a StorageVersionMigration where Kubernetes supports it, and otherwise by a
patch that changes nothing. Their values are never read. The old key is kept while a snapshot in
--snapshot-dir that is younger than --snapshot-expiry needs it. A copy always stays in
DIR/kubernetes/encryption-retired, for restored snapshots.

The command spec.encryption.push brings the file to an API server; --install NAME=FILE copies it to
a file of this machine. The API servers are those of the spec, on port 6443, or of --apiserver.

Reads DIR, the spec (DIR/cluster.yaml, or the one given with -f), and the stored bytes of etcd, with
the certificate of DIR's client "auditor" or that of --cert. Writes DIR/kubernetes, brings files to
the API servers, and rewrites objects through them. Keys are never printed.

Exit status: 0 rotated, or not due, 1 it could not continue, 2 bad command line or spec.`,
		Example: `  etcdsec encryption rotate ./store --kubeconfig admin.conf --dry-run
  etcdsec encryption rotate ./store --kubeconfig admin.conf
  etcdsec encryption rotate ./store --kubeconfig admin.conf --step
  etcdsec encryption rotate ./store --kubeconfig admin.conf --min-age 720h \
    --snapshot-dir /var/backups/etcd --snapshot-expiry 168h
  etcdsec encryption rotate ./store --kubeconfig admin.conf \
    --install cp-0=/etc/kubernetes/encryption/encryption-config.yaml
  etcdsec encryption rotate status ./store --kubeconfig admin.conf
  etcdsec encryption rotate abort ./store`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.run(cmd.Context(), a, given[0])
		},
	}
	flags.addFlags(cmd)
	flags.addChangeFlags(cmd)
	cmd.AddCommand(newEncryptionRotateStatusCommand(a), newEncryptionRotateAbortCommand(a))
	return cmd
}

// addChangeFlags adds the flags that only encryption rotate has.
func (f *encryptionRotateFlags) addChangeFlags(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringArrayVar(&f.install, "install", nil, "`NAME=FILE` on this machine that API server NAME reads; may be repeated")
	set.StringVar(&f.to, "to", "", "`provider` to encrypt with: secretbox, aesgcm, aescbc, kms, or identity to end encryption (default the spec's)")
	set.DurationVar(&f.minAge, "min-age", time.Hour, "do nothing if the last rotation ended less than this `time` ago")
	set.BoolVar(&f.step, "step", false, "stop after the next stage")
	set.BoolVar(&f.dryRun, "dry-run", false, "print what would be done and change nothing")
	set.DurationVar(&f.wait, "wait", 5*time.Minute, "`time` for every API server to load a file; they check it once a minute")
	set.Float64Var(&f.rate, "rate", 200, "`objects` to rewrite per second; 0 is no limit")
	completeWords(cmd, "to", append(cluster.EncryptionProviders(), "identity")...)
}

func (f *encryptionRotateFlags) addFlags(cmd *cobra.Command) {
	set := cmd.Flags()
	specFlag(cmd, &f.spec)
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "`file` of an administrator of the cluster")
	set.StringVar(&f.context, "context", "", "`name` of a context in --kubeconfig (default its current one)")
	set.StringArrayVar(&f.apiServers, "apiserver", nil, "`NAME=HOST:PORT` of an API server, in place of the spec's; may be repeated")
	f.census.addFlags(cmd)
	outputFlag(cmd, &f.output, "text", "json")
}

// checkRotationStore returns an error if dir is neither a store nor a folder that "encryption generate"
// made for a PKI that is elsewhere.
func checkRotationStore(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, pki.KubernetesDir)); err == nil {
		return nil
	}
	if err := pki.CheckStore(dir); err != nil {
		return missingStore(err)
	}
	return nil
}

// newRotation returns a rotation for the store in dir, ready to run.
func (a *app) newRotation(flags encryptionRotateFlags, dir string) (*rotation.Rotation, *cluster.Cluster, error) {
	missing := checkRotationStore(dir)
	if flags.spec == "" && missing != nil {
		return nil, nil, missing
	}
	var err error
	if flags.spec, err = specOrOwn(flags.spec, dir); err != nil {
		return nil, nil, err
	}
	c, err := a.loadSpec(flags.spec)
	if err != nil {
		return nil, nil, err
	}
	if flags.kubeconfig == "" {
		return nil, nil, usageError(errors.New("--kubeconfig is missing: the rotation asks every API server"), "")
	}
	const patience = 30 * time.Second
	client, err := a.openKubeconfig(flags.kubeconfig, flags.context, patience)
	if err != nil {
		return nil, nil, usageError(err, "")
	}
	servers, err := rotation.Servers(flags.apiServers, c, secureAPIPort, client)
	if err != nil {
		return nil, nil, usageError(err, "--apiserver cp-0=10.0.0.11:6443")
	}
	if missing != nil {
		return nil, nil, missing
	}
	r := &rotation.Rotation{
		Dir: filepath.Join(dir, pki.KubernetesDir), Servers: servers,
		Wait: flags.wait, Rate: flags.rate, Now: a.now, Narrate: a.narrate,
	}
	if r.Census, err = a.rotationCensus(flags.census, c, dir); err != nil {
		return nil, nil, err
	}
	if flags.census.snapshots != "" {
		r.Snapshots = flags.census.snapshotsNeeding(a.now)
	}
	local, err := rotation.LocalFiles(flags.install, servers)
	if err != nil {
		return nil, nil, usageError(err, "--install cp-0=/etc/kubernetes/encryption/encryption-config.yaml")
	}
	r.Deliver = rotation.Delivery{Local: local, Push: c.Encryption.Push, Supervisor: supervisor(), Narrate: a.narrate}.Deliver
	return r, c, nil
}

func (f *encryptionRotateFlags) run(ctx context.Context, a *app, dir string) error {
	r, c, err := a.newRotation(*f, dir)
	if err != nil {
		return err
	}
	request := rotation.Request{Spec: c, To: encryption.ProviderType(f.to), MinAge: f.minAge, OneStep: f.step, Random: rand.Reader}
	if err := rotation.CheckTarget(request.To, c); err != nil {
		return usageError(fmt.Errorf("--to %w", err), "")
	}
	if f.dryRun {
		return a.previewRotation(ctx, f.output, r, request)
	}
	outcome, err := r.Run(ctx, request)
	switch {
	case errors.Is(err, durable.ErrLocked):
		return failure(err, "wait for it to end; this run changed nothing")
	case err != nil:
		return failure(err, "etcdsec encryption rotate status "+shellword.Path(dir)+" --kubeconfig "+shellword.Path(f.kubeconfig))
	case outcome == rotation.Stepped:
		return a.printRotationState(ctx, f.output, r)
	}
	return nil
}

// previewRotation prints what the next run would do.
func (a *app) previewRotation(ctx context.Context, format string, r *rotation.Rotation, request rotation.Request) error {
	err := a.printRotationState(ctx, format, r)
	if !errors.Is(err, rotation.ErrNone) {
		return err
	}
	p, due, err := r.Preview(ctx, request)
	if err != nil {
		return failure(err, "")
	}
	if !due {
		return nil
	}
	if err := a.print(format, p); err != nil || format == "json" {
		return err
	}
	return serversError(p.Servers)
}

// serversError returns an error if an API server did not say what it has loaded.
func serversError(servers []rotation.ServerState) error {
	if err := rotation.CheckAsked(servers); err != nil {
		return failure(err, "")
	}
	return nil
}
