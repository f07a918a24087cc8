package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	render "github.com/etcdsec/etcdsec/audit/report"
)

func newAuditDiffCommand(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what changed from one report to another",
		Long: `Compare two JSON reports of the same targets, check by check:

  new        it fails and did not before, or its waiver has ended
  changed    it failed and fails, and what is found is not the same
  unknown    it was known and cannot be told any more
  unasked    it was known and is not in the new report, or it failed and is skipped
  unchanged  it failed and fails with the same findings
  fixed      it failed and passes

What passed and passes is not listed, nor what was never known. Only a pass is a fix. Where a
merged report has two answers, the worse one counts. A waived failure is a failure that does
not make status 3.

-o sarif is the new report in SARIF 2.1.0, each result with its baselineState; what was fixed
is in it as absent.

Reads the two reports; one may be -, standard input. Writes only the comparison, to stdout.
Asks no server.

Exit status: 0 nothing is worse, 1 something that was known is not known any more, 2 bad
command line, 3 new findings, or more in a changed one. 1 beats 3.`,
		Example: `  etcdsec audit diff yesterday.json today.json
  etcdsec audit diff yesterday.json today.json -o json
  etcdsec audit diff yesterday.json today.json -o sarif > today.sarif
  etcdsec audit run -f cluster.yaml --pki ./store -o json | etcdsec audit diff baseline.json -`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, paths []string) error {
			reports, err := a.loadReports(paths)
			if err != nil {
				return err
			}
			if format == "sarif" {
				return a.printDiffSARIF(reports[0], reports[1])
			}
			return a.printDiff(format, audit.Compare(reports[0], reports[1]))
		},
	}
	outputFlag(cmd, &format, "text", "json", "sarif")
	return cmd
}

// printDiffSARIF writes the later report, with the state of each result.
func (a *app) printDiffSARIF(before, after audit.Report) error {
	if err := (render.SARIF{Baseline: &before}).Render(a.stdout, after); err != nil {
		return failure(fmt.Errorf("writing the report: %w", err), "")
	}
	return diffStatus(audit.Compare(before, after))
}

func (a *app) printDiff(format string, d audit.Diff) error {
	if format == "json" {
		if err := a.printJSON(d); err != nil {
			return err
		}
		return diffStatus(d)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if len(d.Changes) > 0 {
		_, _ = fmt.Fprintln(table, "CHANGE\tSEVERITY\tCHECK\tTARGET\tWAS\tNOW\tSEEN") // Flush gives the error
	}
	for _, c := range d.Changes {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Change, c.Severity, c.CheckID, c.Target, c.Was, c.Now, seen(c))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	s := d.Summary
	verdict := "nothing is worse"
	switch {
	case slices.ContainsFunc(d.Changes, audit.Difference.Worse):
		verdict = "new findings"
	case slices.ContainsFunc(d.Changes, audit.Difference.Lost):
		verdict = "less is known than before"
	}
	if _, err := fmt.Fprintf(a.stdout, "%s: %d new, %d changed, %d unknown, %d unasked, %d unchanged, %d fixed\n",
		verdict, s.New, s.Changed, s.Unknown, s.Unasked, s.Unchanged, s.Fixed); err != nil {
		return err
	}
	return diffStatus(d)
}

// seen is one line about a change: by which codes it differs, or what was seen.
func seen(d audit.Difference) string {
	var codes []string
	for _, code := range d.AddedCodes {
		codes = append(codes, "+"+code)
	}
	for _, code := range d.RemovedCodes {
		codes = append(codes, "-"+code)
	}
	if len(codes) > 0 {
		return strings.Join(codes, " ")
	}
	const most = 100
	line := strings.Join(strings.Fields(d.Evidence), " ")
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return line
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
