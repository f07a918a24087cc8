package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	render "github.com/etcdsec/etcdsec/audit/report"
)

// auditDiffFlags hold the flags as the operator wrote them.
type auditDiffFlags struct{ format string }

func newAuditDiffCommand(a *app) *cobra.Command {
	var flags auditDiffFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what changed from one report to another",
		Long: `Compare two JSON reports of the same targets, check by check:

  new        it fails and did not fail before, or its waiver has ended
  changed    it still fails, with other findings
  unknown    it had a result before and is unknown now
  unasked    it had a result before and the new report has none, or it failed and is now skipped
  unchanged  it still fails, with the same findings
  fixed      it failed and passes now

Checks that still pass and checks that were never known are not listed. Only a pass counts as a
fix. Where a merged report has two answers, the worse one counts. A waived failure is a failure,
but does not make status 3.

-o sarif writes the new report as SARIF 2.1.0, each result with its baselineState. Fixed results
are in it as "absent".

Reads the two reports; one may be -, standard input. Writes only the comparison, to stdout.
Asks no server.

Exit status: 0 nothing is worse, 1 a result that was known is unknown now, 2 bad command line,
3 new findings, or more of them in a changed result. 1 beats 3.`,
		Example: `  etcdsec audit diff yesterday.json today.json
  etcdsec audit diff yesterday.json today.json -o json
  etcdsec audit diff yesterday.json today.json -o sarif > today.sarif
  etcdsec audit run -f cluster.yaml --pki ./store -o json | etcdsec audit diff baseline.json -`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, paths []string) error { return flags.run(a, paths) },
	}
	outputFlag(cmd, &flags.format, "text", "json", "sarif")
	return cmd
}

func (f *auditDiffFlags) run(a *app, paths []string) error {
	reports, err := a.loadReports(paths)
	if err != nil {
		return err
	}
	before, after := reports[0], reports[1]
	diff := audit.Compare(before, after)
	switch f.format {
	case "sarif":
		err = render.SARIF{Baseline: &before}.Render(a.stdout, after)
	case "json":
		err = a.printJSON(diff)
	default:
		err = render.WriteDiff(a.page(), diff)
	}
	if err != nil {
		return failure(fmt.Errorf("writing the report: %w", err), "")
	}
	return diffStatus(diff)
}

func diffStatus(d audit.Diff) error {
	switch {
	case slices.ContainsFunc(d.Changes, audit.Difference.Lost):
		return statusError{status: statusFailed}
	case slices.ContainsFunc(d.Changes, audit.Difference.Worse):
		return statusError{status: statusFindings}
	default:
		return nil
	}
}
