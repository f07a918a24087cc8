package main

import (
	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit/catalog"
)

// checkSelection holds the globs that select checks.
type checkSelection struct{ catalog.Selection }

func (s *checkSelection) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&s.Only, "checks", nil, "only the checks whose ID matches the `glob`, such as client-*; a list, may be repeated")
	f.StringSliceVar(&s.Skip, "skip", nil, "none of the checks whose ID matches the `glob`; a list, may be repeated")
	for _, name := range []string{"checks", "skip"} {
		complete(cmd, name, completeList(completeChecks))
	}
}

func completeChecks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	for _, c := range allChecks() {
		ids = append(ids, c.ID+"\t"+c.Title)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// selectChecks returns the selected ones of a verb's checks.
func selectChecks[C catalog.Described](s checkSelection, all []C) ([]C, error) {
	selected, err := catalog.Select(s.Selection, all, allChecks())
	if err != nil {
		return nil, usageError(err, "etcdsec audit list")
	}
	return selected, nil
}
