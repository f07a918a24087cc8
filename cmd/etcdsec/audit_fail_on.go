package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
)

// failOnFlag adds --fail-on to a verb.
func failOnFlag(cmd *cobra.Command, severity *string, otherwise audit.Severity) {
	var known []string
	for _, s := range audit.Severities() {
		known = append(known, string(s))
	}
	known = append(known, string(failOnNone))
	cmd.Flags().StringVar(severity, "fail-on", string(otherwise), "lowest `severity` of a finding that makes status 3: "+strings.Join(known, ", "))
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp)) // fails only for unknown flags
}

// failOnNone is below every severity: findings are in the report and never make status 3, which a
// Job of Kubernetes takes for a Pod that failed and starts again.
const failOnNone audit.Severity = "none"

func parseFailOn(s string) (audit.Severity, error) {
	severity := audit.Severity(s)
	if severity.Rank() < 0 && severity != failOnNone {
		return "", usageError(fmt.Errorf("--fail-on %q: want critical, high, medium, low or none", s), "")
	}
	return severity, nil
}

// auditStatus returns the exit status for a report that is already written, without a message.
// Findings below the severity and waived findings do not count. Unknown results count at every
// severity. A report without any result is not clean, unless it is of a shard without targets.
func auditStatus(r audit.Report, failOn audit.Severity) error {
	if r.Summary.Unknown > 0 || len(r.Results) == 0 && r.Shard == nil {
		return statusError{status: statusFailed}
	}
	for _, result := range r.Results {
		if result.Verdict == audit.Fail && result.Waiver == nil && result.Severity.Rank() <= failOn.Rank() {
			return statusError{status: statusFindings}
		}
	}
	return nil
}
