package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
)

// checkSelection holds the globs that select checks.
type checkSelection struct {
	only, skip []string // globs over IDs
}

func (s *checkSelection) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&s.only, "checks", nil, "only the checks whose ID matches the `glob`, such as client-*; a list, may be repeated")
	f.StringSliceVar(&s.skip, "skip", nil, "none of the checks whose ID matches the `glob`; a list, may be repeated")
	for _, name := range []string{"checks", "skip"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeChecks) // fails only for unknown flags
	}
}

func completeChecks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	for _, c := range allChecks() {
		ids = append(ids, c.ID+"\t"+c.Title)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// describedCheck is a check of any kind.
type describedCheck interface{ About() audit.About }

// selectChecks returns the selected checks, in their order. A glob that matches no check is an
// error: otherwise a misspelt glob would silently leave out a check that somebody relies on.
func selectChecks[C describedCheck](s checkSelection, all []C) ([]C, error) {
	var faults []error
	for _, list := range []struct {
		flag  string
		globs []string
	}{{"--checks", s.only}, {"--skip", s.skip}} {
		for _, glob := range list.globs {
			if !slices.ContainsFunc(all, func(c C) bool { return audit.MatchGlob(glob, c.About().ID) }) {
				faults = append(faults, fmt.Errorf("%s %q: %w", list.flag, glob, noMatchError(glob)))
			}
		}
	}
	if len(faults) > 0 {
		return nil, usageError(errors.Join(faults...), "etcdsec audit list")
	}
	var selected []C
	for _, c := range all {
		if id := c.About().ID; (len(s.only) == 0 || matchesAny(s.only, id)) && !matchesAny(s.skip, id) {
			selected = append(selected, c)
		}
	}
	if len(selected) == 0 {
		return nil, usageError(errors.New("--skip leaves no check"), "etcdsec audit list")
	}
	return selected, nil
}

func matchesAny(globs []string, id string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool { return audit.MatchGlob(glob, id) })
}

func noMatchError(glob string) error {
	near := nearChecks(strings.Trim(glob, "*?-"))
	if len(near) == 0 {
		return errors.New("matches no check")
	}
	return fmt.Errorf("matches no check; the nearest are %s", strings.Join(near, ", "))
}
