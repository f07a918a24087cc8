package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKIRecoverCommand(a *app) *cobra.Command {
	var o issueOptions
	renewal := pki.Renewal{All: true, Authorities: true}
	cmd := &cobra.Command{
		Use:   "recover DIR",
		Short: "Issue every certificate anew after all has expired",
		Long: `Issue every leaf of the store in DIR anew, and before that each CA that expired or is due,
and each issuing CA that is not as the spec wants it, with the keys they have. It needs no
running etcd, no API server and no valid certificate, only the keys; where a root's key is
kept apart, it is needed for the issuing CAs below it.

The roots keep their keys and names. Where a root itself had expired, its new certificate
is in every bundle, and whoever trusts it must get the new file. The order in which to
copy and start things is printed at the end.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes DIR only.`,
		Example: `  etcdsec pki recover ./store --dry-run
  etcdsec pki recover ./store`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.signStore(cmd.Context(), o, given[0], signing{renewal: renewal, after: startOrder})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&renewal.NewKey, "new-key", false, "make a new key for each leaf")
	return cmd
}

// startOrder is how a cluster whose certificates all expired comes back: a quorum of
// members first, then what depends on them. Members that run still serve their open
// connections, but no new one; they need no restart unless what they trust changed.
func startOrder(c *cluster.Cluster, r *issueResult) {
	rootRenewed := slices.ContainsFunc(r.Steps, func(s step) bool {
		return s.Action == "renew" && (s.Path == "authorities/"+pki.ClientRoot || s.Path == "authorities/"+pki.PeerRoot)
	})
	for _, m := range c.Etcd.Members {
		path := "nodes/" + m.Name + "/pki"
		r.Next = append(r.Next, fmt.Sprintf("copy %s to %s", filepath.Join(r.Dir, path), destination(c, path)))
	}
	start := "start etcd on all members at once; a first one is up only when a quorum is"
	if rootRenewed {
		start = "stop and start etcd on all members at once: a root has a new certificate, which etcd reads only at its start"
	}
	r.Next = append(r.Next, start)
	if len(c.Etcd.Members) > 0 {
		m := c.Etcd.Members[0]
		r.Next = append(r.Next, fmt.Sprintf("see them serve: etcdsec audit run --pki %s https://%s:%d", r.Dir, m.Advertised(), c.Etcd.ClientPort))
	}
	apiServers := "copy clients/kube-apiserver to the API servers"
	if c.PKI.Layout != cluster.LayoutEtcdsec {
		apiServers = "see that the API servers have the client certificates of their nodes' bundles"
	}
	if rootRenewed {
		r.Next = append(r.Next, apiServers+", and restart each kube-apiserver: it reads --etcd-cafile only at its start")
	} else {
		r.Next = append(r.Next, apiServers+"; a kube-apiserver that runs picks them up by itself")
	}
	r.Next = append(r.Next, "copy the other folders below clients/ to their holders: backups, monitoring")
}
