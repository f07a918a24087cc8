package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/policies/guard"
)

// policiesApplyFlags are what the operator wrote.
type policiesApplyFlags struct {
	spec     string
	node     string
	guard    time.Duration
	confirm  string
	cut      bool
	dryRun   bool
	stateDir string
	save     string
	output   string
}

// How a change is confirmed.
const (
	confirmAsk    = "ask"
	confirmChecks = "checks"
)

func newPoliciesApplyCommand(a *app) *cobra.Command {
	var flags policiesApplyFlags
	cmd := &cobra.Command{
		Use:   "apply -f cluster.yaml",
		Short: "Load the nftables rules of this host, under guard",
		Long: `Load the nftables rules that the spec has for this host: on the host of a member, who may
reach etcd's ports, and on every node, that Pods do not reach the members with the address of
their node. Run it on each node, as root.

The change is undone by itself after --guard, unless it is confirmed: type yes, or run "policies
confirm" from another session, or say --confirm checks, which keeps it if everything held until
the end of that time. It is undone at once when a member or an API server that answered before
does not any more, when etcd on this host loses its health, or when this command is ended.
What undoes it is a process of its own, started before the rules are loaded, which outlives this
command, its terminal, the SSH connection and kill -9. If that process is killed with -9 too, the
rules stay as they are: "policies rollback" undoes them, "policies confirm" keeps them, and
another apply is refused until one of them was said.

Hosts that are connected to etcd's ports now, and would be cut off, are listed, and nothing is
loaded unless --cut says so. Port 22 and the API server's port are in no rule.

Reads the spec, the packet filter and the connections of this host. Asks the members and API
servers for a TLS handshake, without a certificate. Writes table inet etcdsec in one
transaction, the state of the guard in --state-dir, and the file of --save. Never touches another
table. The rules do not outlive a boot: --save FILE keeps them for nftables.service to load.

Exit status: 0 kept, or nothing to do, 1 undone, or it could not be told, 2 bad command line or spec.`,
		Example: `  etcdsec policies apply -f cluster.yaml --dry-run
  etcdsec policies apply -f cluster.yaml --guard 60s
  etcdsec policies apply -f cluster.yaml --guard 60s --confirm checks --save /etc/nftables.d/etcdsec.nft
  etcdsec policies confirm
  etcdsec policies rollback`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.applyPolicies(cmd.Context(), flags) },
	}
	specFlag(cmd, &flags.spec)
	nodeFlag(cmd, &flags.node)
	stateDirFlag(cmd, &flags.stateDir)
	f := cmd.Flags()
	f.DurationVar(&flags.guard, "guard", time.Minute, "`time` to confirm the change before it is undone")
	f.StringVar(&flags.confirm, "confirm", confirmAsk, "`how` it is confirmed: ask, or checks that held")
	f.BoolVar(&flags.cut, "cut", false, "load the rules even if they cut off who is connected now")
	f.BoolVar(&flags.dryRun, "dry-run", false, "print what would change and change nothing")
	f.StringVar(&flags.save, "save", "", "`file` to keep the rules in once they are confirmed, for nftables.service")
	_ = cmd.RegisterFlagCompletionFunc("confirm", cobra.FixedCompletions([]string{confirmAsk, confirmChecks}, cobra.ShellCompDirectiveNoFileComp)) // fails only for unknown flags
	outputFlag(cmd, &flags.output, "text", "json")
	return cmd
}

func stateDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "state-dir", guard.DefaultDir, "`folder` of root alone for the state of the guard")
	_ = cmd.MarkFlagDirname("state-dir") // only completion; fails for unknown flags
}

func (flags policiesApplyFlags) check() error {
	switch {
	case flags.guard < time.Second || flags.guard > time.Hour:
		return usageError(fmt.Errorf("--guard %s: want 1s to 1h; a change without a guard could lock you out", flags.guard), "--guard 60s")
	case flags.confirm != confirmAsk && flags.confirm != confirmChecks:
		return usageError(fmt.Errorf("--confirm %s: want ask or checks", flags.confirm), "")
	case flags.save != "" && !isDir(filepath.Dir(flags.save)):
		return usageError(fmt.Errorf("--save %s: there is no folder %s", flags.save, filepath.Dir(flags.save)), "mkdir -p "+filepath.Dir(flags.save))
	case flags.spec == "-" && flags.confirm == confirmAsk && !flags.dryRun:
		return usageError(errors.New("-f -: standard input is where the change is confirmed"), "-f cluster.yaml, or --confirm checks")
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (a *app) applyPolicies(ctx context.Context, flags policiesApplyFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	i, err := a.nftablesIntent(flags.spec)
	if err != nil {
		return err
	}
	host, err := thisHost(i, flags.node)
	if err != nil {
		return err
	}
	n, err := guard.FindNft()
	if err != nil {
		return nftFailure(err, "apply -f cluster.yaml")
	}
	if !flags.dryRun {
		state, err := openGuard(flags)
		if err != nil {
			return err
		}
		defer state.Close()
		return a.applyGuarded(ctx, flags, i, host, n, state)
	}
	plan, err := planNftables(ctx, i, host, n)
	if err != nil {
		return err
	}
	a.narrate("dry run: nothing was changed")
	if err := a.printNftablesPlan(flags.output, plan); err != nil {
		return err
	}
	return a.printOutcomeOf(flags.output, plan)
}

func openGuard(flags policiesApplyFlags) (*guard.State, error) {
	state, err := guard.Open(flags.stateDir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, failure(err, "sudo etcdsec policies apply -f "+flags.spec)
	case errors.Is(err, durable.ErrLocked):
		return nil, failure(err, "wait for it to end; nothing was changed by this run")
	case errors.Is(err, guard.ErrOpen):
		return nil, failure(err, "etcdsec policies rollback"+stateDirHint(flags.stateDir)+"   # or confirm")
	case err != nil:
		return nil, failure(err, "")
	}
	return state, nil
}

// saveRules keeps the rules where nftables.service finds them, and says how it does.
func (a *app) saveRules(path string, p *nftablesPlan) error {
	if path == "" {
		a.narrate("the rules do not outlive a boot")
		a.narrate("hint: run this again with --save /etc/nftables.d/etcdsec.nft")
		return nil
	}
	file := durable.File{Name: filepath.Base(path), Mode: 0o600, Data: p.rules.Text()}
	if err := durable.WriteFile(filepath.Dir(path), file, nil); err != nil {
		return failure(err, "")
	}
	a.narrate(`wrote %s; /etc/nftables.conf loads it at boot with the line: include "%[1]s"`, path)
	a.narrate("hint: systemctl enable nftables")
	return nil
}
