package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	render "github.com/etcdsec/etcdsec/audit/report"
	"github.com/etcdsec/etcdsec/internal/layout"
)

// auditOutputs are the values of -o for an audit report.
type auditOutputs struct {
	written []string // FORMAT or FORMAT=FILE, as the operator wrote it
	parsed  []render.Output
	census  *audit.Census // the census that the report judges; nil for any other report
}

// addFlags adds -o to a verb that writes an audit report.
func (o *auditOutputs) addFlags(cmd *cobra.Command) {
	names := render.Names()
	cmd.Flags().StringArrayVarP(&o.written, "output", "o", nil,
		"`format` of the report on stdout, or FORMAT=FILE; may be repeated: "+strings.Join(names, ", ")+" (default "+names[0]+")")
	complete(cmd, "output", completeAuditOutput)
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if o.parsed, err = render.ParseOutputs(o.written); err != nil {
			return usageError(err, "")
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
}

// completeAuditOutput offers the formats, and files after the equals sign.
func completeAuditOutput(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if format, path, toFile := strings.Cut(typed, "="); toFile {
		return completePaths(format+"=", path), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	var formats []cobra.Completion
	for _, f := range render.Formats(false) {
		formats = append(formats, cobra.CompletionWithDesc(f.Name, f.Summary))
	}
	return formats, cobra.ShellCompDirectiveNoFileComp
}

// writeAuditReport writes the report to every output.
func (a *app) writeAuditReport(o auditOutputs, r audit.Report) error {
	if err := render.Write(o.parsed, layout.NewWriter(a.stdout, a.width()), a.wantsColour(), r, o.census); err != nil {
		return failure(err, "")
	}
	return nil
}

// wantsColour reports whether stdout gets colours. It follows no-color.org: any NO_COLOR that is
// not empty forbids them.
func (a *app) wantsColour() bool {
	return isTerminal(a.out()) && os.Getenv("NO_COLOR") == "" && !strings.EqualFold(os.Getenv("TERM"), "dumb")
}
