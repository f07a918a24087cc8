package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/guard"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// policiesDriftFlags are what the operator wrote.
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
		Long: `Compare what is in force with what the spec means: what is missing, what is there beside it,
what was changed. Without a file the nftables of this host are read, which needs root. A FILE is
  - what "nft -j list ruleset" printed on a host, whose node or member stands before it or in --node;
  - a drop-in of systemd (*.conf);
  - objects of a cluster, as kubectl prints them: compared with what "policies render" makes for
    the backends of the spec, or for --backend, after the defaults that an API server fills in.
"-" is standard input.

Tables of others are not compared: what table inet etcdsec drops stays dropped. Nor are objects
of others, which can let in whom these do not: "policies prove" judges them all together.

Reads the spec, the files or the packet filter; writes nothing and uses no network.

Exit status: 0 as meant, 1 it could not be told, 2 bad command line or spec, 3 differences.`,
		Example: `  etcdsec policies drift -f cluster.yaml
  etcdsec policies drift -f cluster.yaml etcd-0=etcd-0.json worker-7=worker-7.json -o json
  ssh root@10.0.0.11 nft -j list ruleset | etcdsec policies drift -f cluster.yaml --node etcd-0 -
  kubectl get networkpolicies -A -o json | etcdsec policies drift -f cluster.yaml -
  kubectl get felixconfigurations,globalnetworkpolicies,hostendpoints -o json | etcdsec policies drift -f cluster.yaml --backend calico -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return a.driftPolicies(cmd.Context(), flags, files)
		},
	}
	specFlag(cmd, &flags.spec)
	nodeFlag(cmd, &flags.node)
	backendFlag(cmd, &flags.backend)
	cmd.Flags().BoolVar(&flags.strict, "strict", false, "of cilium, the form of render --strict")
	outputFlag(cmd, &flags.output, "text", "json")
	return cmd
}

// policyDifference is one difference of a result.
type policyDifference struct {
	Where string `json:"where,omitempty"` // the file, or this host
	What  string `json:"what"`            // which part of a table, unit or object
	Kind  string `json:"kind"`            // missing, extra, changed or unknown
	Want  string `json:"want,omitempty"`
	Live  string `json:"live,omitempty"` // of what is unknown, why
}

type driftResult struct {
	SchemaVersion int                `json:"schema_version"`
	Matches       bool               `json:"matches"`
	Differences   []policyDifference `json:"differences"`
}

func (a *app) driftPolicies(ctx context.Context, flags policiesDriftFlags, files []string) error {
	if flags.backend != "" && !slices.Contains(cluster.Backends(), flags.backend) {
		return usageError(fmt.Errorf("--backend %s: want one of %s", flags.backend, strings.Join(cluster.Backends(), ", ")), "")
	}
	if flags.spec == "-" && slices.Contains(files, "-") {
		return usageError(errors.New("-f - with file -: standard input is one of them"), "")
	}
	c, err := a.loadSpec(flags.spec)
	if err != nil {
		return err
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		return usageError(err, "")
	}
	for _, w := range i.Warnings {
		a.narrate("warning: %s", w)
	}
	result := driftResult{SchemaVersion: 1, Differences: []policyDifference{}}
	if len(files) == 0 {
		result.Differences, err = driftOfThisHost(ctx, i, flags.node)
	} else {
		d := policyDrift{flags: flags, intent: i, files: policyFiles{stdin: a.stdin, intent: i}, found: result.Differences}
		result.Differences, err = d.compare(files)
	}
	if err != nil {
		return err
	}
	result.Matches = len(result.Differences) == 0
	if err := a.printDrift(flags.output, result); err != nil {
		return err
	}
	switch {
	case result.Matches:
		return nil
	case slices.ContainsFunc(result.Differences, func(d policyDifference) bool { return d.Kind == policies.Unknown }):
		return failure(errors.New("not everything could be compared"), "")
	}
	return statusError{status: statusFindings}
}

func driftOfThisHost(ctx context.Context, i *policies.Intent, node string) ([]policyDifference, error) {
	if err := i.Refuse("nftables"); err != nil {
		return nil, usageError(err, "")
	}
	host, err := thisHost(i, node)
	if err != nil {
		return nil, err
	}
	n, err := guard.FindNft()
	if err != nil {
		return nil, nftFailure(err, "drift -f cluster.yaml")
	}
	live, err := n.Ruleset(ctx)
	if err != nil {
		return nil, nftFailure(err, "drift -f cluster.yaml")
	}
	return nftDifferences(host.name, nft.Diff(host.rules(i), live)), nil
}

func nftDifferences(where string, found []nft.Difference) []policyDifference {
	all := make([]policyDifference, 0, len(found))
	for _, d := range found {
		all = append(all, policyDifference{Where: where, What: d.What, Kind: d.Kind, Want: d.Want, Live: d.Live})
	}
	return all
}

func (a *app) printDrift(output string, result driftResult) error {
	if output == "json" {
		return a.printJSON(result)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, d := range result.Differences {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", d.Where, d.What, d.Kind, d.detail())
	}
	return table.Flush()
}

// detail is what a difference is about.
func (d policyDifference) detail() string {
	orNothing := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	if d.Kind == nft.Changed {
		return orNothing(d.Live) + ", want " + orNothing(d.Want)
	}
	return d.Want + d.Live
}
