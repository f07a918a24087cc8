package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	render "github.com/etcdsec/etcdsec/audit/report"
)

// auditExplainFlags hold the flags as the operator wrote them.
type auditExplainFlags struct {
	format string
}

func newAuditExplainCommand(a *app) *cobra.Command {
	var flags auditExplainFlags
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Explain a check",
		Long: `Explain a check: what it looks for, why it matters, how it is tested, how to fix it, and which
benchmarks ask for it.`,
		Example: `  etcdsec audit explain client-plaintext
  etcdsec audit explain peer-accepts-client-cert -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error { return flags.run(a, given[0]) },
	}
	cmd.ValidArgsFunction = completeChecks
	flags.addFlags(cmd)
	return cmd
}

func (f *auditExplainFlags) addFlags(cmd *cobra.Command) {
	outputFlag(cmd, &f.format, "text", "json")
}

func (f *auditExplainFlags) run(a *app, id string) error {
	c, found := findCheck(id)
	if !found {
		return unknownCheckError(id)
	}
	if f.format == "json" {
		return a.printJSON(render.DescribeChecks(c)[0])
	}
	return render.WriteExplanation(a.page(), c)
}

func unknownCheckError(id string) error {
	err := fmt.Errorf("no check has the ID %q", id)
	near := nearChecks(id)
	if len(near) == 0 {
		return usageError(err, "etcdsec audit list")
	}
	return usageError(fmt.Errorf("%w; the nearest are %s", err, strings.Join(near, ", ")), "etcdsec audit explain "+near[0])
}
