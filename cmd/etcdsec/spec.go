package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/internal/legible"
)

// specFlag adds -f to a verb.
func specFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "file", "f", "", "`path` of the cluster spec, or - for standard input")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml") // only completion; fails for unknown flags
}

// loadSpec loads a verb's spec, and prints its warnings on stderr.
func (a *app) loadSpec(path string) (*cluster.Cluster, error) {
	c, err := a.readSpec(path)
	if err == nil {
		a.warn(c)
	}
	return c, err
}

// warn prints the warnings of a spec.
func (a *app) warn(c *cluster.Cluster) {
	for _, w := range c.Warnings {
		a.narrate("warning: %s", w)
	}
}

// readSpec loads a verb's spec and prints nothing.
func (a *app) readSpec(path string) (*cluster.Cluster, error) {
	if path == "" {
		return nil, usageError(errors.New("-f is missing: it names the cluster spec"), "etcdsec init > cluster.yaml   # writes a spec to start from")
	}
	in, err := a.files.Open(path)
	if err != nil {
		return nil, usageError(fmt.Errorf("reading the cluster spec: %w", err), "")
	}
	defer in.Close()
	name := path
	if path == input.Stdin {
		name = "stdin"
	}
	c, err := cluster.Read(name, in)
	if err != nil {
		return nil, usageError(err, "")
	}
	return c, nil
}

// narrate prints a message on stderr. stdout is only for the result.
func (a *app) narrate(format string, args ...any) {
	_, _ = fmt.Fprintf(a.stderr, "etcdsec: %s\n", legible.Line(fmt.Sprintf(format, args...)))
}
