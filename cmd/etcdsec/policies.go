package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/guard"
)

func newPoliciesCommand(a *app) *cobra.Command {
	var backends strings.Builder
	for _, b := range policies.Backends() {
		fmt.Fprintf(&backends, "\n  %-21s %s", b.Name, b.Summary)
	}
	return newGroupCommand("policies", "Isolate etcd on the network",
		`Isolate etcd on the network. The spec says who may reach which port of etcd; policies enforce it.
spec.isolation.backends names one or several of these backends:
`+backends.String(),
		newPoliciesRenderCommand(a),
		newPoliciesProveCommand(a),
		newPoliciesApplyCommand(a),
		newPoliciesConfirmCommand(a),
		newPoliciesRollbackCommand(a),
		newPoliciesDriftCommand(a),
		newPoliciesWatchCommand(a),
	)
}

func backendFlag(cmd *cobra.Command, backend *string) {
	cmd.Flags().StringVar(backend, "backend", "", "`name` of the backend: "+strings.Join(backendNames(), ", ")+" (default: those of the spec)")
	completeWords(cmd, "backend", backendNames()...)
}

func backendNames() []string {
	var names []string
	for _, b := range policies.Backends() {
		names = append(names, string(b.Name))
	}
	return names
}

// parseBackend returns the backend of --backend, or none if it is not given.
func parseBackend(name string) ([]cluster.Backend, error) {
	if name == "" {
		return nil, nil
	}
	b, err := policies.FindBackend(cluster.Backend(name))
	if err != nil {
		return nil, usageError(fmt.Errorf("--backend %s: want one of %s", name, strings.Join(backendNames(), ", ")), "")
	}
	return []cluster.Backend{b.Name}, nil
}

const autoNode = "auto"

func nodeFlag(cmd *cobra.Command, node *string) {
	cmd.Flags().StringVar(node, "node", autoNode, "`name` of the member or node of the rules; auto finds it by the addresses of this host")
}

// nodeName returns the name that --node gives, or "" for auto.
func nodeName(node string) string {
	if node == autoNode {
		return ""
	}
	return node
}

// loadIntent loads a verb's spec, and prints its warnings on stderr.
func (a *app) loadIntent(spec string) (*policies.Intent, error) {
	c, err := a.loadSpec(spec)
	if err != nil {
		return nil, err
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		return nil, usageError(err, "")
	}
	for _, w := range i.Warnings {
		a.narrate("warning: %s", w)
	}
	return i, nil
}

// policiesError adds a hint to the error of a verb. again holds the words after "etcdsec policies"
// that run it again.
func policiesError(err error, again string) error {
	if e, ok := errors.AsType[*policies.UnnamedNodeError](err); ok {
		return usageError(fmt.Errorf("%w, and --node is missing", err), "--node "+e.Example+", or "+shellword.Path(e.Example+"="+e.File))
	}
	if e, ok := errors.AsType[*guard.WrongNodeError](err); ok {
		return usageError(fmt.Errorf("--node %w", err), "--node "+e.Member)
	}
	_, refused := errors.AsType[policies.Refusal](err)
	_, empty := errors.AsType[*policies.EmptyTopologyError](err)
	switch {
	case refused:
		return usageError(err, "")
	case empty:
		return failure(err, "kubectl get nodes,namespaces,pods -A -o json > topology.json")
	case errors.Is(err, policies.ErrNoObjects):
		return usageError(err, "--backend calico, cilium, networkpolicy or clusternetworkpolicy")
	case errors.Is(err, guard.ErrNoNft):
		return failure(err, "apt-get install nftables, or dnf install nftables")
	case errors.Is(err, guard.ErrNotPermitted):
		return failure(err, "sudo etcdsec policies "+again)
	}
	return failure(err, "")
}

// refusalError adds a hint to the error of a refused backend: the backend to render instead.
func refusalError(err error, spec string) error {
	refusal, ok := errors.AsType[policies.Refusal](err)
	if !ok || len(refusal.Instead) == 0 {
		return policiesError(err, "")
	}
	return usageError(refusal, "etcdsec policies render --backend "+string(refusal.Instead[0])+" -f "+shellword.Path(spec))
}
