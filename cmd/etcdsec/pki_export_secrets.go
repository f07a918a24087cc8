package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki/export"
)

// exportSecretsFlags are what the operator wrote.
type exportSecretsFlags struct {
	exportOptions
	style         string
	namespace     string
	name          string
	replicas      int
	clusterDomain string
}

func newPKIExportSecretsCommand(a *app) *cobra.Command {
	var flags exportSecretsFlags
	cmd := &cobra.Command{
		Use:   "secrets DIR OUT [NAME...]",
		Short: "Write Kubernetes Secrets",
		Long: `Write a Kubernetes Secret for each leaf of the store DIR, as a manifest in the folder OUT:
the certificate with its issuing CA, its key, and the root that its holder trusts. A NAME
is a leaf (etcd-0/server, clients/backup), or a member or client, which is all of its
leaves. Without one, every leaf is exported whose key is in the store.

Styles:
  tls            type kubernetes.io/tls: tls.crt, tls.key and ca.crt.
  etcd-operator  the same, as X-server-tls, X-peer-tls and, when a client is named,
                 X-client-tls: what etcd-operator mounts and reads for EtcdCluster X, which
                 is --name. Apply them before it; its auto provider keeps what is there.
  bitnami        type Opaque: cert.pem, key.pem and ca.crt, as X-server-tls and X-peer-tls
                 for release X, which is --name: the values auth.client.existingSecret and
                 auth.peer.existingSecret of the Bitnami chart.

The last two mount one Secret in all replicas. So they want one member's certificates that
name every replica, by the DNS names of its Pods: that is checked before anything is
written. In the spec it is one member with the addresses of all replicas.

Apply with --server-side: without it, kubectl copies the keys into an annotation.

Reads DIR and never changes it. Writes OUT only, which it makes with mode 0700; every file
has mode 0600.

` + onDiffer,
		Example: `  etcdsec pki export secrets ./store ./secrets --namespace kube-system --dry-run
  etcdsec pki export secrets ./store ./secrets kube-apiserver clients/healthcheck
  kubectl apply --server-side -f ./secrets`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			if err := flags.check(); err != nil {
				return usageError(err, "")
			}
			return a.export(flags.exportOptions, given[0], given[1], func(store *export.Store, now time.Time) ([]exported, error) {
				return a.exportSecrets(store, flags, given[2:], now)
			})
		},
	}
	f := cmd.Flags()
	var styles []string
	for _, s := range export.Styles() {
		styles = append(styles, string(s))
	}
	f.StringVar(&flags.style, "style", styles[0], "`style` of the Secrets: "+strings.Join(styles, ", "))
	_ = cmd.RegisterFlagCompletionFunc("style", cobra.FixedCompletions(styles, cobra.ShellCompDirectiveNoFileComp)) // fails only for unknown flags
	f.StringVar(&flags.namespace, "namespace", "kube-system", "`namespace` of the Secrets")
	f.StringVar(&flags.name, "name", "", "`name` of the EtcdCluster, or full name of the release (default the spec's)")
	f.IntVar(&flags.replicas, "replicas", 3, "`number` of replicas that the certificates must name, with etcd-operator and bitnami")
	f.StringVar(&flags.clusterDomain, "cluster-domain", "cluster.local", "DNS `domain` of the Kubernetes cluster")
	flags.flags(cmd)
	return cmd
}

func (f exportSecretsFlags) check() error {
	if !slices.Contains(export.Styles(), export.Style(f.style)) {
		return fmt.Errorf("--style %s: unknown style; see --help", f.style)
	}
	if err := export.CheckLabel(f.namespace); err != nil {
		return fmt.Errorf("--namespace: %w", err)
	}
	if f.style == string(export.StyleTLS) && f.name != "" {
		return fmt.Errorf("--name is for --style %s and %s", export.StyleEtcdOperator, export.StyleBitnami)
	}
	if f.name != "" {
		if err := export.CheckLabel(f.name); err != nil {
			return fmt.Errorf("--name: %w", err)
		}
	}
	if f.replicas < 1 {
		return fmt.Errorf("--replicas %d: want at least 1", f.replicas)
	}
	if domain, err := cluster.ParseAddress(f.clusterDomain); err != nil || domain.DNS == "" {
		return fmt.Errorf("--cluster-domain %q: want a DNS name such as cluster.local", f.clusterDomain)
	}
	return nil
}

func (a *app) exportSecrets(store *export.Store, flags exportSecretsFlags, names []string, now time.Time) ([]exported, error) {
	refs, err := findLeaves(store, names)
	if err != nil {
		return nil, err
	}
	if export.Style(flags.style) == export.StyleTLS {
		return a.exportTLSSecrets(store, flags.namespace, refs, len(names) > 0, now)
	}
	shared := export.Shared{
		Style: export.Style(flags.style), Name: flags.name, Namespace: flags.namespace,
		Replicas: flags.replicas, ClusterDomain: flags.clusterDomain,
	}
	if shared.Name == "" {
		shared.Name = store.Cluster.Name
	}
	return a.exportSharedSecrets(store, shared, refs, len(names) > 0, now)
}

// findLeaves are the leaves that the operator named, or all, each once and in plan order.
func findLeaves(store *export.Store, names []string) ([]export.Ref, error) {
	if len(names) == 0 {
		return store.Leaves(), nil
	}
	wanted := map[string]bool{}
	for _, name := range names {
		found, err := store.Find(name)
		if err != nil {
			return nil, usageError(err, "")
		}
		for _, r := range found {
			wanted[r.Path()] = true
		}
	}
	var refs []export.Ref
	for _, r := range store.Leaves() {
		if wanted[r.Path()] {
			refs = append(refs, r)
		}
	}
	return refs, nil
}

func (a *app) exportTLSSecrets(store *export.Store, namespace string, refs []export.Ref, named bool, now time.Time) ([]exported, error) {
	objectNames := store.SecretNames()
	var lines []exported
	for _, r := range refs {
		l, err := store.Read(r, now)
		if err != nil {
			return nil, err
		}
		if l.Key == nil && !named {
			lines = append(lines, exported{name: r.Name, role: r.Role, detail: noKey, skipped: true})
			continue
		}
		line, err := exportedSecret(l, export.StyleTLS, objectNames[r.Path()], namespace)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func (a *app) exportSharedSecrets(store *export.Store, shared export.Shared, refs []export.Ref, named bool, now time.Time) ([]exported, error) {
	if !named {
		refs = membersOnly(refs)
	}
	chosen, err := shared.Choose(refs)
	if err != nil {
		return nil, usageError(err, "")
	}
	if len(chosen) == 0 {
		return nil, usageError(errors.New("nothing of what is named is mounted by "+string(shared.Style)), "")
	}
	var lines []exported
	for _, r := range chosen {
		l, err := store.Read(r, now)
		if err != nil {
			return nil, err
		}
		warnings, err := shared.Check(l)
		if err != nil {
			return nil, failure(err, "list these names as addresses of one member in the spec, or give --name, --namespace, --replicas and --cluster-domain")
		}
		for _, w := range warnings {
			a.narrate("warning: %s", w)
		}
		line, err := exportedSecret(l, shared.Style, shared.SecretName(r), shared.Namespace)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func membersOnly(refs []export.Ref) []export.Ref {
	var members []export.Ref
	for _, r := range refs {
		if r.Member() {
			members = append(members, r)
		}
	}
	return members
}

// noKey is why a leaf is not exported.
const noKey = "its key is not in this store, but where it was made"

func exportedSecret(l export.Leaf, style export.Style, name, namespace string) (exported, error) {
	if l.Key == nil {
		return exported{}, failure(fmt.Errorf("exporting %s: %s", l.Name, noKey), "")
	}
	file, err := export.Secret(l, style, name, namespace)
	if err != nil {
		return exported{}, err
	}
	return exported{
		name: l.Name, role: l.Role, file: file,
		detail: fmt.Sprintf("Secret %s/%s, %s, %s", namespace, name, l.Name, until(l)),
	}, nil
}
