package main

import "github.com/spf13/cobra"

func newPoliciesCommand(a *app) *cobra.Command {
	return newGroupCommand("policies", "Isolate etcd on the network",
		`Turn what a spec says of the network, who may reach which port of etcd, into what enforces
it. spec.isolation.backends names that, one or several:

  nftables              filters on every node; works everywhere
  calico                host endpoints and their policies, with the failsafe ports narrowed
  cilium                host firewall policies
  networkpolicy         for hosted etcd; nothing of a NetworkPolicy is about the host network
  clusternetworkpolicy  keeps Pods from the members; in addition to one of the above
  systemd               a filter on etcd's unit, without ports; in addition likewise`,
		newPoliciesRenderCommand(a),
		newPoliciesProveCommand(a),
		newPoliciesApplyCommand(a),
		newPoliciesConfirmCommand(a),
		newPoliciesRollbackCommand(a),
		newPoliciesDriftCommand(a),
		newPoliciesWatchCommand(a),
	)
}
