package main

import (
	"path"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/manifests"
	"github.com/etcdsec/etcdsec/pki"
	"github.com/etcdsec/etcdsec/policies"
)

func newBootstrapCommand(a *app) *cobra.Command {
	var flags signFlags
	cmd := &cobra.Command{
		Use:   "bootstrap -f cluster.yaml DIR",
		Short: "Turn a spec into certificates and hardened configs",
		Long: `Turn a cluster spec into everything its members need: the certificates of "etcdsec pki issue", and
for each member a hardened etcd configuration with its systemd unit or static Pod. The folder
nodes/MEMBER is ready to be copied to its node.

It also writes the network policies for each backend of spec.isolation: objects for an API server
to kubernetes/, rules for a node to nodes/MEMBER/. It does not apply them; see
"etcdsec policies --help".

Existing keys and certificates are verified and never replaced, except revoked ones. Existing
configurations are changed to match the spec. Reads the spec and DIR, writes only DIR, uses no network.`,
		Example: `  etcdsec init > cluster.yaml                  # then edit it
  etcdsec bootstrap -f cluster.yaml ./store --dry-run
  etcdsec bootstrap -f cluster.yaml ./store`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.run(cmd.Context(), a, given[0], signing{render: a.bootstrapFiles, next: afterBootstrap})
		},
	}
	flags.addFlags(cmd)
	return cmd
}

// afterBootstrap returns the next steps. Those of a cluster that is about to start follow a run that issued
// something.
func afterBootstrap(c *cluster.Cluster, r pki.Result) []string {
	next := pki.AfterBootstrap(c, r)
	if r.Count(pki.ActionIssue) == 0 {
		return next
	}
	next = append(next, manifests.AfterBootstrap(c)...)
	next = append(next, pki.ForAPIServers(c, r)...)
	dir := shellword.Path(r.Dir)
	return append(next, "when the cluster runs, prove that it is secure: etcdsec audit run -f "+dir+"/cluster.yaml --pki "+dir)
}

// bootstrapFiles renders the files that bootstrap writes in addition to the certificates.
func (a *app) bootstrapFiles(c *cluster.Cluster) ([]durable.File, error) {
	rendered, err := manifests.All(c)
	if err != nil {
		return nil, err
	}
	isolation, warnings, err := policies.StoreFiles(c)
	for _, w := range warnings {
		a.narrate("warning: %s", w)
	}
	var files []durable.File
	for _, f := range rendered {
		files = append(files, durable.File{Name: f.Path, Data: f.Data})
	}
	for _, f := range isolation {
		dir := pki.KubernetesDir
		if f.Member != "" {
			dir = path.Join("nodes", f.Member)
		}
		files = append(files, durable.File{Name: path.Join(dir, f.Path), Data: f.Data})
	}
	return files, err
}
