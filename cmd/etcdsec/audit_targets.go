package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/input"
)

// targetsFlag adds --targets to a verb.
func targetsFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "targets", "", "`file` with an endpoint on each line, or - for standard input")
	_ = cmd.MarkFlagFilename("targets") // only completion; fails for unknown flags
}

// loadTargets reads the list of --targets. An empty path gives no endpoints.
func (a *app) loadTargets(path string) ([]collect.Endpoint, error) {
	if path == "" {
		return nil, nil
	}
	in, err := a.files.Open(path)
	if err != nil {
		return nil, usageError(fmt.Errorf("reading the endpoints: %w", err), "")
	}
	defer in.Close()
	name := path
	if path == input.Stdin {
		name = "stdin"
	}
	endpoints, err := collect.ReadList(name, in)
	if err != nil {
		return nil, usageError(err, "printf '%s\\n' 10.0.0.11:2379 peer=10.0.0.11:2380 > targets.txt")
	}
	return endpoints, nil
}
