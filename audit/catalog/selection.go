package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Selection holds globs over the IDs of checks.
type Selection struct {
	Only []string // of --checks: if there are any, only the checks that match one
	Skip []string // of --skip: none of the checks that match one
}

// Described is a check of any kind.
type Described interface{ About() audit.About }

// Select returns the selected checks, in their order. A glob that matches no check is an error:
// otherwise a misspelt glob would silently leave out a check that somebody relies on. The error names
// the nearest of the known checks.
func Select[C Described](s Selection, all []C, known []audit.About) ([]C, error) {
	var faults []error
	for _, list := range []struct {
		flag  string
		globs []string
	}{{"--checks", s.Only}, {"--skip", s.Skip}} {
		for _, glob := range list.globs {
			if !slices.ContainsFunc(all, func(c C) bool { return audit.MatchGlob(glob, c.About().ID) }) {
				faults = append(faults, fmt.Errorf("%s %q: %w", list.flag, glob, noMatchError(glob, known)))
			}
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	var selected []C
	for _, c := range all {
		if id := c.About().ID; (len(s.Only) == 0 || matchesAny(s.Only, id)) && !matchesAny(s.Skip, id) {
			selected = append(selected, c)
		}
	}
	if len(selected) == 0 {
		return nil, errors.New("--skip leaves no check")
	}
	return selected, nil
}

func matchesAny(globs []string, id string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool { return audit.MatchGlob(glob, id) })
}

func noMatchError(glob string, known []audit.About) error {
	near := NearIn(known, strings.Trim(glob, "*?-"))
	if len(near) == 0 {
		return errors.New("matches no check")
	}
	return fmt.Errorf("matches no check; the nearest are %s", strings.Join(near, ", "))
}
