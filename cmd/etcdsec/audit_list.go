package main

import (
	"github.com/spf13/cobra"

	render "github.com/etcdsec/etcdsec/audit/report"
)

func newAuditListCommand(a *app) *cobra.Command {
	var format string
	var selection checkSelection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the checks",
		Long:  "List every check: its ID, which never changes, its severity and what is wrong when it fails.",
		Example: `  etcdsec audit list
  etcdsec audit list --checks 'client-*,peer-*' --skip peer-plaintext
  etcdsec audit list -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			selected, err := selectChecks(selection, everyCheck())
			if err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(render.DescribeChecks(selected...))
			}
			return render.WriteCheckTable(a.stdout, selected)
		},
	}
	selection.addFlags(cmd)
	outputFlag(cmd, &format, "text", "json")
	return cmd
}
