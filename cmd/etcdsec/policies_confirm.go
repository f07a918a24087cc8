package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/policies/guard"
)

// policiesConfirmFlags hold the flags of confirm and rollback as the operator wrote them.
type policiesConfirmFlags struct {
	stateDir string
	output   string
}

func newPoliciesConfirmCommand(a *app) *cobra.Command {
	var flags policiesConfirmFlags
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Keep the rules that were applied under guard",
		Long: `Keep the rules that "policies apply" has loaded, before its guard undoes them. Run it from a new
session: if you can log in, the rules do not lock you out. If the change is being undone already,
this command says that it is too late. It also writes the file of --save, even if "policies apply" was
killed. Reads and writes --state-dir, and that file. Without --state-dir, it finds the one change on this
host that waits.

Exit status: 0 kept, 1 undone, or nothing to confirm, 2 bad command line.`,
		Example: `  etcdsec policies confirm`,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return flags.run(cmd.Context(), a, guard.Keep) },
	}
	flags.addFlags(cmd)
	return cmd
}

func newPoliciesRollbackCommand(a *app) *cobra.Command {
	var flags policiesConfirmFlags
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Undo the rules that were applied under guard",
		Long: `Undo at once the rules that "policies apply" has loaded and nobody has confirmed, even if its guard
was killed. Restores the table of the cluster and touches no other table. Reads and writes --state-dir.

Exit status: 0 undone, 1 kept before, or not possible, or nothing to undo, 2 bad command line.`,
		Example: `  etcdsec policies rollback`,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return flags.run(cmd.Context(), a, guard.Undo) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *policiesConfirmFlags) addFlags(cmd *cobra.Command) {
	stateDirFlag(cmd, &f.stateDir)
	outputFlag(cmd, &f.output, "text", "json")
}

// run tells the guard to keep or to undo the change, and prints the outcome.
func (f *policiesConfirmFlags) run(ctx context.Context, a *app, w guard.Word) error {
	verb := "confirm"
	if w == guard.Undo {
		verb = "rollback"
	}
	var err error
	if f.stateDir == "" {
		f.stateDir, err = guard.FindDir(guard.DefaultDir)
	}
	if e, several := errors.AsType[*guard.SeveralError](err); several {
		return failure(err, "--state-dir "+shellword.Path(e.Dirs[0]))
	}
	var outcome guard.Word
	if err == nil {
		outcome, err = guard.Settle(ctx, f.stateDir, w)
	}
	_, unsaved := errors.AsType[*guard.SaveError](err)
	switch {
	case unsaved:
		return saveError(err, f.stateDir)
	case errors.Is(err, guard.ErrNone):
		return failure(err, "etcdsec policies apply -f cluster.yaml")
	case errors.Is(err, fs.ErrPermission):
		return failure(err, "sudo etcdsec policies "+verb)
	case err != nil:
		return policiesError(err, verb)
	}
	if err := a.print(f.output, guard.NewSettled(outcome)); err != nil {
		return err
	}
	if path := guard.SavePath(f.stateDir); path != "" && outcome == guard.Kept {
		a.narrateSaved(path)
	}
	switch {
	case w == guard.Keep && outcome != guard.Kept:
		return failure(errors.New("it was too late: the change is undone"), "etcdsec policies apply -f cluster.yaml")
	case w == guard.Undo && outcome != guard.Undone:
		return failure(errors.New("it was too late: the change was kept"), "")
	}
	return nil
}
