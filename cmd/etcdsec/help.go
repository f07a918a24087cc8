package main

import (
	"cmp"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/layout"
)

// help writes the help of a command, as wide as the terminal. It has the parts of cobra's own help, which
// does not wrap. Examples are never wrapped: they are lines to paste.
func (a *app) help(cmd *cobra.Command, _ []string) {
	out := layout.NewWriter(cmd.OutOrStdout(), a.width())
	known, width := layout.Width(out), layout.ProseWidth(out)
	var b strings.Builder
	b.WriteString(layout.Reflow(strings.TrimSpace(cmp.Or(cmd.Long, cmd.Short)), known) + "\n")
	if cmd.Runnable() || cmd.HasAvailableSubCommands() {
		b.WriteString("\nUsage:\n")
		writeUsage(&b, cmd, width)
	}
	if cmd.HasExample() {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	writeCommands(&b, "Available Commands:", width, cmd.Commands(), (*cobra.Command).IsAvailableCommand)
	for _, part := range []struct{ heading, flags string }{
		{"Flags:", cmd.LocalFlags().FlagUsagesWrapped(width)},
		{"Global Flags:", cmd.InheritedFlags().FlagUsagesWrapped(width)},
	} {
		if part.flags != "" {
			b.WriteString("\n" + part.heading + "\n" + strings.TrimRight(part.flags, "\n") + "\n")
		}
	}
	writeCommands(&b, "Additional help topics:", width, cmd.Commands(), (*cobra.Command).IsAdditionalHelpTopicCommand)
	if cmd.HasAvailableSubCommands() {
		more := `Use "` + cmd.CommandPath() + ` [command] --help" for more information about a command.`
		b.WriteString("\n" + layout.Reflow(more, known) + "\n")
	}
	_, _ = io.WriteString(out, b.String())
}

// writeUsage writes the usage lines of a command.
func writeUsage(b *strings.Builder, cmd *cobra.Command, width int) {
	var lines []string
	if cmd.Runnable() {
		lines = append(lines, cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		lines = append(lines, cmd.CommandPath()+" [command]")
	}
	const indent, more = "  ", "    "
	for _, usage := range lines {
		for i, line := range layout.Wrap(usage, width-len(more)) {
			if i == 0 {
				b.WriteString(indent + line + "\n")
				continue
			}
			b.WriteString(more + line + "\n")
		}
	}
}

// writeCommands writes a table of commands, each with its headline.
func writeCommands(b *strings.Builder, heading string, width int, all []*cobra.Command, shown func(*cobra.Command) bool) {
	table := layout.NewTable(layout.NewWriter(b, width))
	some := false
	for _, c := range all {
		if shown(c) || c.Name() == "help" && heading == "Available Commands:" {
			table.Row("  "+c.Name(), c.Short)
			some = true
		}
	}
	if some {
		b.WriteString("\n" + heading + "\n")
		_ = table.Flush() // a strings.Builder has no errors
	}
}
