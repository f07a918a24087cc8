package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/collect/kube"
)

// auditKubeFlags name the Kubernetes cluster to audit.
type auditKubeFlags struct {
	kubeconfig string
	context    string
}

func (flags *auditKubeFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&flags.kubeconfig, "kubeconfig", "", "`file` of a cluster whose etcd Pods and control-plane nodes are audited")
	f.StringVar(&flags.context, "context", "", "`name` of a context in --kubeconfig (default its current one)")
}

// kubeTargets returns the targets of a cluster beside the given endpoints: the listeners of its
// etcd Pods, with the settings that the Pods declare, and the ports of its API server and of its
// control-plane kubelets.
func (a *app) kubeTargets(ctx context.Context, flags auditRunFlags, given []collect.Endpoint, now time.Time) (collect.HostAudit, error) {
	if flags.kube.kubeconfig == "" {
		return collect.HostAudit{Endpoints: given}, nil
	}
	client, err := a.openKubeconfig(flags.kube.kubeconfig, flags.kube.context, flags.timeout)
	if err != nil {
		return collect.HostAudit{}, failure(err, "kubectl config view --minify --flatten > cluster.kubeconfig")
	}
	found, err := kube.Find(ctx, client)
	if err != nil {
		return collect.HostAudit{}, failure(err, "on a control-plane host: etcdsec audit run")
	}
	for _, f := range found.Elsewhere {
		a.narrate("warning: %s is not audited: %s", f.Subject, f.Reason)
	}
	for _, u := range found.Unread {
		a.narrate("warning: %s: %s", u.Address, u.Unreached())
	}
	for _, u := range found.Unseen {
		a.narrate("warning: %s: %s", u.Address, u.Unreached())
	}
	minTLS, err := minTLSVersion(flags.minTLS)
	if err != nil {
		return collect.HostAudit{}, err
	}
	return found.Targets(given, minTLS, now), nil
}
