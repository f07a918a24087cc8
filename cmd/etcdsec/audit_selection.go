package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
)

// checkSelection says which checks of the catalog are meant.
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
	for _, c := range everyCheck() {
		ids = append(ids, c.ID+"\t"+c.Title)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// of gives the selected ones of the checks, in their order. A glob that matches nothing is
// not silently nothing: it would leave a check out that somebody relies on.
func (s checkSelection) of(all []audit.Check) ([]audit.Check, error) {
	var faults []error
	for _, list := range []struct {
		flag  string
		globs []string
	}{{"--checks", s.only}, {"--skip", s.skip}} {
		for _, glob := range list.globs {
			if !slices.ContainsFunc(all, func(c audit.Check) bool { return audit.MatchGlob(glob, c.ID) }) {
				faults = append(faults, fmt.Errorf("%s %q: %w", list.flag, glob, noSuchCheck(glob)))
			}
		}
	}
	if len(faults) > 0 {
		return nil, usageError(errors.Join(faults...), "etcdsec audit list")
	}
	var selected []audit.Check
	for _, c := range all {
		if (len(s.only) == 0 || matchesAny(s.only, c.ID)) && !matchesAny(s.skip, c.ID) {
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

func noSuchCheck(glob string) error {
	near := nearChecks(strings.Trim(glob, "*?-"))
	if len(near) == 0 {
		return errors.New("matches no check")
	}
	return fmt.Errorf("matches no check; near it are %s", strings.Join(near, ", "))
}
