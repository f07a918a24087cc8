package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/lint"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// policiesProveFlags hold the flags as the operator wrote them.
type policiesProveFlags struct {
	spec      string
	topology  []string
	strict    bool
	selection checkSelection
	failOn    string
	format    string
}

func newPoliciesProveCommand(a *app) *cobra.Command {
	var flags policiesProveFlags
	cmd := &cobra.Command{
		Use:   "prove -f cluster.yaml [[NODE=]POLICY-FILE...]",
		Short: "Prove who reaches which port of etcd, and which rule decides",
		Long: `Follow a packet from everyone, members, API servers, scrapers, backups, other nodes, Pods on
each kind of node, somebody outside, to each port of each member, through every filter in its
way, and compare what happens to it with what the spec wants:

  every member reaches every member's peer port, one that is about to join too;
  every API server reaches every member's client port; nobody else reaches either;
  scrapers reach the metrics port and no other.

Without files it judges what "policies render" writes for spec.isolation.backends. With files it
judges these alone: NetworkPolicies, ClusterNetworkPolicies and AdminNetworkPolicies, Calico's
and Cilium's policies, host endpoints and FelixConfigurations, as YAML or JSON, in Lists or
several documents; what "nft -j list ruleset" prints, of the node that NODE= names or of every
node; unit files and drop-ins (*.conf, *.service) with IPAddressAllow= and IPAddressDeny=, of the
member that NODE= names or of all. "-" is standard input. Nodes, namespaces and Pods among them
say where everything runs; --topology takes only these from a file. Without them, one Pod of
each kind stands for all.

The policies are also searched for what is a mistake whatever else is there; "etcdsec audit
list --checks 'policy-*'" lists these checks.

In the matrix "yes" is reached and wanted, "-" neither, OPEN reached and not wanted, CUT wanted
and not reached, "local" what stays on its own host, and "?" could not be told.

Reads the files; writes to stdout only; uses no network and sends no packet.

Exit status: 0 it holds, 1 it could not be told, 2 bad command line or spec, 3 it does not
hold, or a finding has the severity of --fail-on.`,
		Example: `  etcdsec policies prove -f cluster.yaml
  etcdsec policies prove -f cluster.yaml policies.yaml -o json
  kubectl get nodes,namespaces,pods,networkpolicies -A -o json | etcdsec policies prove -f cluster.yaml -
  ssh root@10.0.0.11 nft -j list ruleset > cp-0.json; etcdsec policies prove -f cluster.yaml cp-0=cp-0.json`,
		RunE: func(_ *cobra.Command, given []string) error { return flags.run(a, given) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *policiesProveFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	cmd.Flags().StringArrayVar(&f.topology, "topology", nil, "`file` of which only nodes, namespaces and Pods are taken; may be repeated")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "without files, the form of cilium that needs its nodeSelectorLabels")
	f.selection.addFlags(cmd)
	failOnFlag(cmd, &f.failOn, audit.Medium)
	outputFlag(cmd, &f.format, "text", "json")
}

func (f *policiesProveFlags) run(a *app, paths []string) error {
	failOn, err := parseFailOn(f.failOn)
	if err != nil {
		return err
	}
	checks, err := selectChecks(f.selection, lint.Checks())
	if err != nil {
		return err
	}
	if f.strict && len(paths) > 0 {
		return usageError(errors.New("--strict is about what is rendered, and files are given"), "")
	}
	intent, err := a.loadIntent(f.spec)
	if err != nil {
		return err
	}
	reader := a.policyReader(f.spec)
	judged := paths
	var filters policies.Filters
	if len(paths) > 0 {
		filters, err = reader.ReadFilters(paths)
	} else {
		filters, err = policies.RenderFilters(intent, policies.RenderOptions{CiliumStrict: f.strict})
		for _, b := range intent.Backends {
			judged = append(judged, string(b))
		}
	}
	if err != nil {
		return refusalError(err, f.spec)
	}
	where, err := reader.ReadTopology(filters.Objects, f.topology)
	if err != nil {
		return policiesError(err, "")
	}
	report := lint.Prove(&lint.Subject{
		Name: intent.Cluster, SpecPath: f.spec, Intent: intent, Topology: reach.NewTopology(intent, where), Filters: filters,
	}, checks, judged)
	if f.format == "json" {
		err = a.printJSON(report)
	} else {
		_, err = io.WriteString(a.stdout, report.Text())
	}
	switch {
	case err != nil:
		return err
	case report.Undecided():
		return statusError{status: statusFailed}
	case report.Fails(failOn):
		return statusError{status: statusFindings}
	}
	return nil
}
