package main

import (
	"errors"

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
		Long: `Follow packets to each port of each member, through every filter on their way, and compare the
result with the spec. The senders are members, API servers, scrapers, backups, other nodes, Pods on
each kind of node, and somebody outside. The spec demands that

  - every member reaches every member's peer port, also a member that is about to join;
  - every API server and backup reaches every member's client port;
  - scrapers reach the metrics port and no other;
  - nobody else reaches any of these ports.

Without files, it judges the output of "policies render" for spec.isolation.backends. With files, it
judges only these files. "-" is standard input. A file can be

  - objects as YAML or JSON, in Lists or several documents: NetworkPolicies, ClusterNetworkPolicies,
    AdminNetworkPolicies, the policies of Calico and Cilium, host endpoints, FelixConfigurations;
  - the output of "nft -j list ruleset", for the node that NODE= names, or for every node;
  - beside that of nft, the output of iptables-save or ip6tables-save on the same node: it has the
    parameters that nft does not list, and iptables-legacy-save has rules that nft does not know;
  - unit files and drop-ins of systemd (*.conf, *.service, *.slice), for the member that NODE= names,
    or for all.

NODE is the name of a node or of the member on it. A file that is empty, or in which nothing is
about packets, is an error, and so is a NODE that nothing names.

Nodes, namespaces and Pods in the files tell where everything runs; --topology reads only these from
a file. Without them, one Pod of each kind stands for all.

It also checks the policies for common mistakes, which "etcdsec audit list --checks 'policy-*'"
lists.

In the matrix, "yes" means reached and wanted, "-" neither of the two, OPEN reached but not wanted,
CUT wanted but not reached, "local" a packet that stays on its own host, and "?" unknown.

Reads the files; writes to stdout only; uses no network and sends no packet.

Exit status: 0 the policies do what the spec demands, 1 a packet's fate is unknown, 2 bad command
line or spec, 3 they do not, or a finding has the severity of --fail-on or worse.`,
		Example: `  etcdsec policies prove -f cluster.yaml
  etcdsec policies prove -f cluster.yaml policies.yaml -o json
  kubectl get nodes,namespaces,pods,networkpolicies -A -o json |
    etcdsec policies prove -f cluster.yaml -
  ssh root@10.0.0.11 nft -j list ruleset > cp-0.json
  etcdsec policies prove -f cluster.yaml cp-0=cp-0.json
  ssh root@10.0.0.11 iptables-save > cp-0.rules
  etcdsec policies prove -f cluster.yaml cp-0=cp-0.json cp-0=cp-0.rules`,
		RunE: func(_ *cobra.Command, given []string) error { return flags.run(a, given) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *policiesProveFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	cmd.Flags().StringArrayVar(&f.topology, "topology", nil, "`file` from which only nodes, namespaces and Pods are read; may be repeated")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "without files, for backend cilium: judge the output of render --strict")
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
		return usageError(errors.New("--strict is only for rendered policies: leave it out if you give files"), "")
	}
	intent, err := a.loadIntent(f.spec)
	if err != nil {
		return err
	}
	reader := &policies.Reader{Files: a.files}
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
	topology := reach.NewTopology(intent, where)
	if filters, err = topology.Place(intent, filters); err != nil {
		return usageError(err, "")
	}
	report := lint.Prove(&lint.Subject{
		Name: intent.Cluster, SpecPath: f.spec, Intent: intent, Topology: topology, Filters: filters,
	}, checks, judged)
	if f.format == "json" {
		err = a.printJSON(report)
	} else {
		err = report.WriteText(a.page())
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
