package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/guard"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// policiesDriftFlags are what the operator wrote.
type policiesDriftFlags struct {
	spec   string
	node   string
	output string
}

func newPoliciesDriftCommand(a *app) *cobra.Command {
	var flags policiesDriftFlags
	cmd := &cobra.Command{
		Use:   "drift -f cluster.yaml [FILE...]",
		Short: "Compare the rules in force with the spec",
		Long: `Compare the rules in force with those that the spec means: what is missing, what is there
beside it, what was changed. Without a file the nftables of this host are read, which needs root.
A file is what "nft -j list ruleset" printed on the host that --node names.

Tables of others are not compared. They can let nobody in: what table inet etcdsec drops stays
dropped. Reads the spec, the files or the packet filter; writes nothing.

Exit status: 0 as meant, 1 it could not be told, 2 bad command line or spec, 3 differences.`,
		Example: `  etcdsec policies drift -f cluster.yaml
  nft -j list ruleset | etcdsec policies drift -f cluster.yaml --node etcd-0 -
  etcdsec policies drift -f cluster.yaml --node etcd-0 etcd-0.json -o json`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return a.driftPolicies(cmd.Context(), flags, files)
		},
	}
	specFlag(cmd, &flags.spec)
	nodeFlag(cmd, &flags.node)
	outputFlag(cmd, &flags.output, "text", "json")
	return cmd
}

// nftDifference is one difference of a result.
type nftDifference struct {
	Where string `json:"where,omitempty"` // the file, or this host
	What  string `json:"what"`
	Kind  string `json:"kind"`
	Want  string `json:"want,omitempty"`
	Live  string `json:"live,omitempty"`
}

func nftDifferences(where string, found []nft.Difference) []nftDifference {
	all := make([]nftDifference, 0, len(found))
	for _, d := range found {
		all = append(all, nftDifference{Where: where, What: d.What, Kind: d.Kind, Want: d.Want, Live: d.Live})
	}
	return all
}

type driftResult struct {
	SchemaVersion int             `json:"schema_version"`
	Matches       bool            `json:"matches"`
	Differences   []nftDifference `json:"differences"`
}

func (a *app) driftPolicies(ctx context.Context, flags policiesDriftFlags, files []string) error {
	if flags.spec == "-" && strings.Contains("\n"+strings.Join(files, "\n")+"\n", "\n-\n") {
		return usageError(errors.New("-f - with file -: standard input is one of them"), "")
	}
	i, err := a.nftablesIntent(flags.spec)
	if err != nil {
		return err
	}
	result := driftResult{SchemaVersion: 1, Differences: []nftDifference{}}
	if len(files) == 0 {
		host, err := thisHost(i, flags.node)
		if err != nil {
			return err
		}
		n, err := guard.FindNft()
		if err != nil {
			return nftFailure(err, "drift -f cluster.yaml")
		}
		live, err := n.Ruleset(ctx)
		if err != nil {
			return nftFailure(err, "drift -f cluster.yaml")
		}
		result.Differences = append(result.Differences, nftDifferences(host.name, nft.Diff(host.rules(i), live))...)
	}
	for _, file := range files {
		found, err := a.driftOfFile(i, flags.node, file)
		if err != nil {
			return err
		}
		result.Differences = append(result.Differences, found...)
	}
	result.Matches = len(result.Differences) == 0
	if err := a.printDrift(flags.output, result); err != nil {
		return err
	}
	if !result.Matches {
		return statusError{status: statusFindings}
	}
	return nil
}

// driftOfFile compares what a file says to be in force.
func (a *app) driftOfFile(i *policies.Intent, node, file string) ([]nftDifference, error) {
	var data []byte
	var err error
	where := file
	if file == "-" {
		where = "stdin"
		data, err = io.ReadAll(io.LimitReader(a.stdin, nft.MaxDump+1)) // one more is refused by Parse
	} else {
		data, err = durable.ReadFile(file, nft.MaxDump)
	}
	if err != nil {
		return nil, failure(err, "")
	}
	if !isNftDump(data) {
		return nil, failure(fmt.Errorf("%s: is not what nft -j printed", where), "nft -j list ruleset > rules.json")
	}
	if node == autoNode {
		return nil, usageError(fmt.Errorf("%s: of which host is it? --node is missing", where), "--node "+i.Members[0].Name)
	}
	live, err := nft.Parse(data)
	if err != nil {
		return nil, failure(fmt.Errorf("%s: %w", where, err), "")
	}
	return nftDifferences(where, nft.Diff(namedHost(i, node).rules(i), live)), nil
}

// isNftDump says whether data begins as the JSON of nft does.
func isNftDump(data []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(data), []byte("{"))
	return ok && bytes.HasPrefix(bytes.TrimSpace(rest), []byte(`"nftables"`))
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
func (d nftDifference) detail() string {
	if d.Kind == nft.Changed {
		return d.Live + ", want " + d.Want
	}
	return d.Want + d.Live
}
