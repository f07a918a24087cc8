package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/policies/guard"
)

// newPoliciesWatchCommand is the process that "policies apply" starts, and nobody else.
func newPoliciesWatchCommand(a *app) *cobra.Command {
	var dir, path string
	var within time.Duration
	cmd := &cobra.Command{
		Use:    "watch",
		Short:  "Undo a change that is not confirmed",
		Long:   `Started by "policies apply", which tells it when to begin.`,
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.watchPolicies(cmd.Context(), dir, guard.Nft(path), within)
		},
	}
	stateDirFlag(cmd, &dir)
	cmd.Flags().StringVar(&path, "nft", "", "`path` of nft")
	cmd.Flags().DurationVar(&within, "within", 0, "`time` after which the change is undone")
	return cmd
}

func (a *app) watchPolicies(ctx context.Context, dir string, n guard.Nft, within time.Duration) error {
	if n == "" || within <= 0 {
		return usageError(fmt.Errorf("policies apply starts it"), "etcdsec policies apply --help")
	}
	// The terminal that goes away is what it is there for.
	signal.Ignore(syscall.SIGHUP)
	outcome, err := guard.Watch(ctx, dir, n, within, guard.Ready)
	if err != nil {
		return failure(err, "")
	}
	a.narrate("%s", outcome)
	return nil
}
