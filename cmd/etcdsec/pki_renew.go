package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKIRenewCommand(a *app) *cobra.Command {
	var o issueOptions
	var renewal pki.Renewal
	var jitter time.Duration
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
			if jitter < 0 {
				return usageError(fmt.Errorf("--jitter %s: want a duration such as 72h", jitter), "")
			}
			renewal.Names, renewal.Jitter = given[1:], jitter
			if renewal.All && len(renewal.Names) > 0 {
				return usageError(errors.New("--all and names together: which of the two?"), "")
			}
			renewal.Due = !renewal.All && len(renewal.Names) == 0
			return a.signStore(cmd.Context(), o, given[0], signing{renewal: renewal, after: copyBundles})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&renewal.All, "all", false, "renew every leaf, due or not")
	cmd.Flags().BoolVar(&renewal.NewKey, "new-key", false, "make a new key for each leaf renewed")
	cmd.Flags().DurationVar(&jitter, "jitter", 0, "let each leaf be due earlier by up to `duration`, so that they do not all change on one day")
	return cmd
}

// copyBundles says where the bundles that changed have to go. There may be a thousand.
func copyBundles(c *cluster.Cluster, r *issueResult) {
	const most = 10
	var changed []string
	for _, s := range r.Steps {
		bundle := strings.HasPrefix(s.Path, "nodes/") || strings.HasPrefix(s.Path, "clients/")
		if bundle && (s.Action == "renew" || s.Action == "issue") && (len(changed) == 0 || changed[len(changed)-1] != s.Path) {
			changed = append(changed, s.Path)
		}
	}
	for i, path := range changed {
		if i == most {
			r.Next = append(r.Next, fmt.Sprintf("and so on for %d more bundles", len(changed)-most))
			break
		}
		r.Next = append(r.Next, "copy "+filepath.Join(r.Dir, path)+" to "+destination(c, path))
	}
	if len(changed) > 0 {
		r.Next = append(r.Next, "restart nothing: etcd and kube-apiserver read leaves anew at every handshake")
	}
}

// destination is where a bundle of the store belongs.
func destination(c *cluster.Cluster, path string) string {
	for _, m := range c.Etcd.Members {
		if path == "nodes/"+m.Name+"/pki" {
			return fmt.Sprintf("%s on %s (%s)", c.Etcd.PKIDir(m), m.Name, m.Advertised())
		}
	}
	return "where its client reads it"
}
