package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/waivers"
)

// waiversFlag adds --waivers to a verb.
func waiversFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "waivers", "", "YAML `file` of findings that somebody accepts until a given day")
	_ = cmd.MarkFlagFilename("waivers", "yaml", "yml") // only completion; fails for unknown flags
}

// loadWaivers reads the file of --waivers. An empty path gives no rules.
func (a *app) loadWaivers(path string, now time.Time) ([]audit.WaiverRule, error) {
	if path == "" {
		return nil, nil
	}
	in, err := a.files.Open(path)
	if err != nil {
		return nil, usageError(fmt.Errorf("reading the waivers: %w", err), "")
	}
	defer in.Close()
	checks := waivers.Checks{Near: nearChecks}
	for _, c := range allChecks() {
		checks.IDs = append(checks.IDs, c.ID)
	}
	rules, err := waivers.Read(path, in, checks, now)
	if err != nil {
		return nil, usageError(err, "")
	}
	return rules, nil
}

// applyWaivers applies the rules of --waivers, if it was given, and warns on stderr about unused
// ones. A shard sees only some of the targets, so it does not warn: another shard may use the waiver.
func (a *app) applyWaivers(r *audit.Report, rules []audit.WaiverRule, now time.Time) {
	if rules == nil {
		return
	}
	for _, unused := range r.Waive(rules, now) {
		if r.Shard == nil {
			a.narrate("warning: %s: the waiver of %s for %q is unused: %s", unused.Origin, unused.CheckID, unused.Target, unused.Why)
		}
	}
}
