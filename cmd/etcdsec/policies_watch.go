package main

import (
	"context"
	"errors"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/policies/guard"
)

// policiesWatchFlags hold the flags that "policies apply" gives.
type policiesWatchFlags struct {
	stateDir string
	nft      string
	within   time.Duration
}

// newPoliciesWatchCommand returns the verb that only "policies apply" starts, as a process of its own.
func newPoliciesWatchCommand(a *app) *cobra.Command {
	var flags policiesWatchFlags
	cmd := &cobra.Command{
		Use:    "watch",
		Short:  "Undo a change that is not confirmed",
		Long:   `Started by "policies apply", which tells it when to begin.`,
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE:   func(cmd *cobra.Command, _ []string) error { return flags.run(cmd.Context(), a) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *policiesWatchFlags) addFlags(cmd *cobra.Command) {
	stateDirFlag(cmd, &f.stateDir)
	cmd.Flags().StringVar(&f.nft, "nft", "", "`path` of nft")
	cmd.Flags().DurationVar(&f.within, "within", 0, "`time` after which the change is undone")
}

func (f *policiesWatchFlags) run(ctx context.Context, a *app) error {
	if f.nft == "" || f.within <= 0 {
		return usageError(errors.New(`only "policies apply" starts this command`), "etcdsec policies apply --help")
	}
	// It must survive the end of the terminal.
	signal.Ignore(syscall.SIGHUP)
	outcome, err := guard.Watch(ctx, f.stateDir, guard.Nft(f.nft), f.within, guard.Ready)
	if err != nil {
		return failure(err, "")
	}
	a.narrate("%s", outcome)
	return nil
}
