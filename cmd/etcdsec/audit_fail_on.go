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
	completeWords(cmd, "fail-on", known...)
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

// unknownFlag adds --unknown to a verb.
func unknownFlag(cmd *cobra.Command, unknown *string) {
	known := []string{unknownFails, unknownWarns}
	cmd.Flags().StringVar(unknown, "unknown", unknownFails, "what a check that could not tell does, as a `word`: fail is status 1, warn only says so")
	completeWords(cmd, "unknown", known...)
}

// The values of --unknown.
const (
	unknownFails = "fail"
	unknownWarns = "warn"
)

// parseUnknown reports whether a result that is unknown makes status 1.
func parseUnknown(s string) (fails bool, err error) {
	if s != unknownFails && s != unknownWarns {
		return false, usageError(fmt.Errorf("--unknown %q: want fail or warn", s), "")
	}
	return s == unknownFails, nil
}

// auditStatus returns the exit status for a report that is already written. It tells how many results are
// unknown only if these do not decide. A report without results, which is not one of a shard, fails.
func (a *app) auditStatus(r audit.Report, failOn audit.Severity, unknownFails bool) error {
	if len(r.Results) == 0 && r.Shard == nil || r.Summary.Unknown > 0 && unknownFails {
		return statusError{status: statusFailed}
	}
	if r.Summary.Unknown > 0 {
		a.narrate("warning: unknown results: %d; with --unknown warn they do not fail this run, but they are no passes", r.Summary.Unknown)
	}
	for _, result := range r.Results {
		if result.Verdict == audit.Fail && result.Waiver == nil && result.Severity.Rank() <= failOn.Rank() {
			return statusError{status: statusFindings}
		}
	}
	return nil
}
