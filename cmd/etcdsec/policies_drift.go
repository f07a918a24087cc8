package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/guard"
)

// policiesDriftFlags hold the flags as the operator wrote them.
type policiesDriftFlags struct {
	spec    string
	node    string
	backend string
	strict  bool
	output  string
}

func newPoliciesDriftCommand(a *app) *cobra.Command {
	var flags policiesDriftFlags
	cmd := &cobra.Command{
		Use:   "drift -f cluster.yaml [[NODE=]FILE...]",
		Short: "Compare what is in force with the spec",
		Long: `Compare the rules and policies in force with the spec: what is missing, extra or changed. Without a
FILE it reads the nftables of this host, which needs root. A FILE is one of these:
  - the output of "nft -j list ruleset" on a host; give its node or member as NODE= or in --node;
  - beside it, the output of iptables-save, ip6tables-save or iptables-legacy-save on the same host;
  - a drop-in of systemd (*.conf);
  - objects of a cluster, as kubectl prints them. They are compared with the output of "policies
    render" for the backends of the spec, or for --backend, with the defaults of an API server.
"-" is standard input.

Other tables cannot accept a packet that table inet etcdsec-CLUSTER drops, so they are not compared. But
on the host of a member, a rule that sends connections to etcd's ports elsewhere (NAT) is listed as
extra, also one of iptables-legacy: the table does not see these. On this host only the chains that such
connections meet are listed, and iptables-save is asked for the parameters that nft does not list. So is table inet etcdsec, which a former version of etcdsec loaded
for this cluster. Other objects are not compared either, though they can let in more senders:
"policies prove" judges all objects together.

Reads the spec, the files or the packet filter; writes nothing and uses no network.

Exit status: 0 no differences, 1 not everything could be compared, 2 bad command line or spec,
3 differences.`,
		Example: `  etcdsec policies drift -f cluster.yaml
  etcdsec policies drift -f cluster.yaml etcd-0=etcd-0.json worker-7=worker-7.json -o json
  ssh root@10.0.0.11 nft -j list ruleset | etcdsec policies drift -f cluster.yaml --node etcd-0 -
  kubectl get networkpolicies -A -o json | etcdsec policies drift -f cluster.yaml -
  kubectl get felixconfigurations,globalnetworkpolicies,hostendpoints -o json |
    etcdsec policies drift -f cluster.yaml --backend calico -`,
		RunE: func(cmd *cobra.Command, given []string) error { return flags.run(cmd.Context(), a, given) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *policiesDriftFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	nodeFlag(cmd, &f.node)
	backendFlag(cmd, &f.backend)
	cmd.Flags().BoolVar(&f.strict, "strict", false, "for backend cilium: compare with the output of render --strict")
	outputFlag(cmd, &f.output, "text", "json")
}

func (f *policiesDriftFlags) run(ctx context.Context, a *app, files []string) error {
	backends, err := parseBackend(f.backend)
	if err != nil {
		return err
	}
	if f.spec == "-" && slices.Contains(files, "-") {
		return usageError(errors.New("-f - with file -: standard input can be only one of them"), "")
	}
	i, err := a.loadIntent(f.spec)
	if err != nil {
		return err
	}
	var found []policies.Difference
	if len(files) == 0 {
		found, err = guard.Drift(ctx, i, nodeName(f.node))
	} else {
		d := policies.Drift{Intent: i, Node: nodeName(f.node), Backends: backends, Options: policies.RenderOptions{CiliumStrict: f.strict}}
		found, err = d.Compare(&policies.Reader{Files: a.files}, files)
		for _, name := range d.NotMembers {
			a.narrate("%s is no member of the spec: compared with the rules of a node without a member", name)
		}
	}
	if err != nil {
		return policiesError(err, "drift -f "+f.spec)
	}
	result := policies.NewDriftResult(found)
	if err := a.print(f.output, result); err != nil {
		return err
	}
	switch {
	case result.Matches:
		return nil
	case result.Undecided():
		return failure(errors.New("not everything could be compared"), "")
	}
	return statusError{status: statusFindings}
}
