package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionFlags hold the flags as the operator wrote them.
type versionFlags struct {
	output string
}

// versionResult is the JSON of version. Fields are only ever added.
type versionResult struct {
	SchemaVersion int    `json:"schema_version"`
	Version       string `json:"version"`
	Go            string `json:"go"`
	Platform      string `json:"platform"`
}

func newVersionCommand(a *app) *cobra.Command {
	var flags versionFlags
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version of this binary and the Go release that built it.",
		Example: `  etcdsec version
  etcdsec version -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return flags.run(a) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *versionFlags) addFlags(cmd *cobra.Command) {
	outputFlag(cmd, &f.output, "text", "json")
}

func (f *versionFlags) run(a *app) error {
	v := versionResult{SchemaVersion: 1, Version: buildVersion(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if f.output == "json" {
		return a.printJSON(v)
	}
	_, err := fmt.Fprintf(a.stdout, "etcdsec %s %s %s\n", v.Version, v.Go, v.Platform)
	return err
}

// addVersionFlag adds --version and -v, which print what "etcdsec version" prints. Only etcdsec itself has
// them: no verb is verbose, so -v has no second meaning.
func addVersionFlag(a *app, root *cobra.Command) {
	shown := root.Flags().BoolP("version", "v", false, "print the version")
	group := root.RunE
	root.RunE = func(cmd *cobra.Command, given []string) error {
		if *shown {
			return (&versionFlags{}).run(a)
		}
		return group(cmd, given)
	}
}

// buildVersion returns the version that the linker set, or else the module version that the
// Go tool recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
