package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
)

// auditMergeFlags hold the flags as the operator wrote them.
type auditMergeFlags struct {
	waivers string
	failOn  string
	unknown string // what results do that could not be told
	outputs auditOutputs
}

func newAuditMergeCommand(a *app) *cobra.Command {
	var flags auditMergeFlags
	cmd := &cobra.Command{
		Use:   "merge FILE...",
		Short: "Join the reports of shards, hosts or places into one",
		Long: `Join JSON reports into one: reports of the shards of a fleet, of the hosts of a cluster, or of
several places that looked at the same targets. The joined report starts with the first, finishes
with the last, and has a new summary.

Where two reports have the same verdict, findings and waiver for a check of a target, the result
is kept once. Where they differ, both results are kept, with a warning: a port may be open to one
host and closed to another, and both are true. A target that every host has for itself, such as
127.0.0.1:2379 or the path of a file, is one for each host: reports name the host from which it was
seen. If one report is of a shard, all the other shards
must be there: the targets of a missing shard are unknown, which is status 1.

--waivers works as in "etcdsec audit run", and replaces the waivers that the reports have.

Reads the reports; "-" is standard input. Writes only the report: to stdout, and with
-o FORMAT=FILE to files. Asks no server.

Exit status: 0 all checks passed, 1 a check could not tell, or a report or shard is missing,
2 bad command line or waivers, 3 findings. 1 beats 3.`,
		Example: `  etcdsec audit merge shard-*.json
  etcdsec audit merge shard-*.json -o text -o json=fleet.json -o html=fleet.html
  etcdsec audit merge shard-*.json --waivers waivers.yaml --fail-on high`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, paths []string) error {
			return flags.run(a, paths)
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *auditMergeFlags) addFlags(cmd *cobra.Command) {
	waiversFlag(cmd, &f.waivers)
	failOnFlag(cmd, &f.failOn, audit.Low)
	unknownFlag(cmd, &f.unknown)
	f.outputs.addFlags(cmd)
}

func (f *auditMergeFlags) run(a *app, paths []string) error {
	failOn, err := parseFailOn(f.failOn)
	if err != nil {
		return err
	}
	unknownFails, err := parseUnknown(f.unknown)
	if err != nil {
		return err
	}
	now := a.now()
	rules, err := a.loadWaivers(f.waivers, now)
	if err != nil {
		return err
	}
	reports, err := a.loadReports(paths)
	if err != nil {
		return err
	}
	merged, conflicts := audit.Merge(reports)
	for _, c := range conflicts {
		a.narrate("warning: %s of %s: %s in %s, %s in %s; both are kept", c.CheckID, strings.TrimSuffix(c.Target+" on "+c.Host, " on "),
			c.Verdicts[0], paths[c.Reports[0]], c.Verdicts[1], paths[c.Reports[1]])
	}
	a.applyWaivers(&merged, rules, now)
	if err := a.writeAuditReport(f.outputs, merged); err != nil {
		return err
	}
	if missing := audit.MissingShards(reports); len(missing) > 0 {
		return failure(fmt.Errorf("shards are missing: %s; their targets are unknown", audit.NameShards(missing)),
			"etcdsec audit run --shard "+missing[0].String()+" -o json   # and the same targets as for the others")
	}
	return a.auditStatus(merged, failOn, unknownFails)
}
