package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

func newEncryptionRotateStatusCommand(a *app) *cobra.Command {
	var flags encryptionRotateFlags
	cmd := &cobra.Command{
		Use:   "status DIR --kubeconfig FILE",
		Short: "Show how far a rotation is",
		Long: `Show which stage of a rotation is in force, what each API server has loaded, and what the next step
does. Changes nothing.

Exit status: 0 no rotation is under way, 1 an API server did not say what it has loaded, 2 bad
command line, 3 a rotation is under way.`,
		Example: `  etcdsec encryption rotate status ./store --kubeconfig admin.conf
  etcdsec encryption rotate status ./store --kubeconfig admin.conf -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.runStatus(cmd.Context(), a, given[0])
		},
	}
	flags.addFlags(cmd)
	return cmd
}

// runStatus prints how far a rotation is.
func (f *encryptionRotateFlags) runStatus(ctx context.Context, a *app, dir string) error {
	r, _, err := a.newRotation(*f, dir)
	if err != nil {
		return err
	}
	err = a.printRotationState(ctx, f.output, r)
	switch {
	case err == nil:
		return statusError{status: statusFindings}
	case !errors.Is(err, rotation.ErrNone):
		return err
	case f.output == "json":
		return a.printJSON(struct {
			SchemaVersion int  `json:"schema_version"`
			UnderWay      bool `json:"under_way"`
		}{1, false})
	}
	_, err = fmt.Fprintln(a.stdout, "no rotation is under way")
	return err
}

// printRotationState prints how far the rotation is. It returns ErrNone if none is under way.
func (a *app) printRotationState(ctx context.Context, format string, r *rotation.Rotation) error {
	s, err := r.Status(ctx)
	switch {
	case errors.Is(err, rotation.ErrNone):
		return err
	case err != nil:
		return failure(err, "")
	}
	if err := a.print(format, s); err != nil {
		return err
	}
	return serversError(s.Servers)
}
