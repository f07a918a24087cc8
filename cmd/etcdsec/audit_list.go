package main

import (
	"github.com/spf13/cobra"

	render "github.com/etcdsec/etcdsec/audit/report"
)

// auditListFlags hold the flags as the operator wrote them.
type auditListFlags struct {
	selection checkSelection
	format    string
}

func newAuditListCommand(a *app) *cobra.Command {
	var flags auditListFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the checks",
		Long:  "List every check: its ID, which never changes, its severity and what is wrong when it fails.",
		Example: `  etcdsec audit list
  etcdsec audit list --checks 'client-*,peer-*' --skip peer-plaintext
  etcdsec audit list -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return flags.run(a) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *auditListFlags) addFlags(cmd *cobra.Command) {
	f.selection.addFlags(cmd)
	outputFlag(cmd, &f.format, "text", "json")
}

func (f *auditListFlags) run(a *app) error {
	selected, err := selectChecks(f.selection, allChecks())
	if err != nil {
		return err
	}
	if f.format == "json" {
		return a.printJSON(render.DescribeChecks(selected...))
	}
	return render.WriteCheckTable(a.page(), selected)
}
