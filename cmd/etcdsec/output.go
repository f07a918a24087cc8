package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	render "github.com/etcdsec/etcdsec/audit/report"
)

// outputFlag adds -o to a verb that knows the given formats; the first is the default.
func outputFlag(cmd *cobra.Command, format *string, known ...string) {
	cmd.Flags().StringVarP(format, "output", "o", known[0], "`format` of the result: "+strings.Join(known, ", "))
	completeWords(cmd, "output", known...)
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(known, *format) {
			return usageError(fmt.Errorf("-o %s: unknown format; want %s", *format, strings.Join(known, " or ")), "")
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
}

func (a *app) printJSON(v any) error {
	return render.WriteJSON(a.stdout, v)
}

// print prints a result in the format of -o.
func (a *app) print(format string, result interface{ WriteText(w io.Writer) error }) error {
	if format == "json" {
		return a.printJSON(result)
	}
	return result.WriteText(a.page())
}
