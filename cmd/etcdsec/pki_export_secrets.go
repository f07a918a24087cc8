package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki/export"
)

// exportSecretsFlags hold the flags as the operator wrote them.
type exportSecretsFlags struct {
	exportFlags
	style string
	export.Shared
}

func newPKIExportSecretsCommand(a *app) *cobra.Command {
	var flags exportSecretsFlags
	cmd := &cobra.Command{
		Use:   "secrets DIR OUT [NAME...]",
		Short: "Write Kubernetes Secrets",
		Long: `Write a Kubernetes Secret for each leaf of the store DIR, as a manifest in the folder OUT:
the certificate with its issuing CA, its key, and the root that its holder trusts. A NAME is a leaf
(etcd-0/server, clients/backup), or a member or client, which stands for all of its leaves. Without
a NAME, every leaf whose key is in the store is exported.

Styles:
  tls            type kubernetes.io/tls: tls.crt, tls.key and ca.crt.
  etcd-operator  the same, with the names that etcd-operator reads for the EtcdCluster X of
                 --name: X-server-tls, X-peer-tls and, if you name a client, X-client-tls.
                 Apply them before the EtcdCluster; its auto provider keeps existing Secrets.
  bitnami        type Opaque: cert.pem, key.pem and ca.crt. The names for the release X of
                 --name are X-server-tls and X-peer-tls; give them to the Bitnami chart as
                 auth.client.existingSecret and auth.peer.existingSecret.

The last two mount one Secret in all replicas. So the certificates of one member must name every
replica, by the DNS names of its Pods; this is checked before anything is written. In the spec,
give one member the addresses of all replicas.

Apply with --server-side: without it, kubectl copies the keys into an annotation.

Reads DIR and never changes it. Writes only OUT, which it makes with mode 0700; every file
has mode 0600.

` + existingFilesHelp,
		Example: `  etcdsec pki export secrets ./store ./secrets --namespace kube-system --dry-run
  etcdsec pki export secrets ./store ./secrets kube-apiserver clients/healthcheck
  kubectl apply --server-side -f ./secrets`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			for _, name := range []string{"replicas", "cluster-domain"} {
				if cmd.Flags().Changed(name) && export.Style(flags.style) == export.StyleTLS {
					return usageError(fmt.Errorf("--%s does nothing with --style %s; it is for those whose replicas share a Secret", name, export.StyleTLS), "")
				}
			}
			return flags.run(a, given[0], given[1], given[2:])
		},
	}
	cmd.ValidArgsFunction = completeStoreNames
	flags.addFlags(cmd)
	return cmd
}

func (f *exportSecretsFlags) addFlags(cmd *cobra.Command) {
	var styles []string
	for _, s := range export.Styles() {
		styles = append(styles, string(s))
	}
	cmd.Flags().StringVar(&f.style, "style", styles[0], "`style` of the Secrets: "+strings.Join(styles, ", "))
	completeWords(cmd, "style", styles...)
	cmd.Flags().StringVar(&f.Namespace, "namespace", "kube-system", "`namespace` of the Secrets")
	cmd.Flags().StringVar(&f.Name, "name", "", "`name` of the EtcdCluster, or full name of the release (default the spec's)")
	cmd.Flags().IntVar(&f.Replicas, "replicas", 3, "`number` of replicas that the certificates must name, with etcd-operator and bitnami")
	cmd.Flags().StringVar(&f.ClusterDomain, "cluster-domain", "cluster.local", "DNS `domain` of the Kubernetes cluster")
	f.exportFlags.addFlags(cmd)
}

func (f *exportSecretsFlags) run(a *app, dir, out string, names []string) error {
	f.Style = export.Style(f.style)
	if err := f.Validate(); err != nil {
		return usageError(err, "")
	}
	return a.export(f.exportFlags, dir, out, func(store *export.Store, now time.Time) (export.Items, error) {
		return store.Secrets(export.SecretsConfig{Shared: f.Shared, Names: names}, now)
	})
}
