package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/policies/guard"
)

// policiesApplyFlags hold the flags as the operator wrote them.
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

// The values of --confirm.
const (
	confirmAsk    = "ask"
	confirmChecks = "checks"
)

func newPoliciesApplyCommand(a *app) *cobra.Command {
	var flags policiesApplyFlags
	cmd := &cobra.Command{
		Use:   "apply -f cluster.yaml",
		Short: "Load the nftables rules of this host, under guard",
		Long: `Load the nftables rules that the spec gives for this host. On the host of a member, they limit who
reaches etcd's ports. On every node, they stop Pods from reaching the members with the address of
their node. Run it on each node, as root.

The change is undone after --guard, unless you confirm it: type yes, or run "policies confirm" from
another session. With --confirm checks, it is kept if all checks pass until the end of that time; if
no other host answers a check before, nothing is loaded. It is undone at once when a member or an API
server stops answering, when etcd on this host is no longer healthy, or when this command ends: by a
signal, or because its terminal is gone. Under nohup it outlives its terminal.

The guard is a process of its own, started before the rules are loaded. It survives this command,
its terminal, the SSH connection and kill -9. If the guard itself is killed with -9, the rules stay:
"policies rollback" undoes them and "policies confirm" keeps them. Until you run one of the two,
another apply is refused.

Hosts that are connected to etcd now and would be cut off are listed, and nothing is loaded unless
you give --cut. No rule names port 22 or the API server's port.

Reads the spec, the packet filter and the connections of this host. Makes a TLS handshake with the
members and API servers, without a certificate. Writes table inet etcdsec-CLUSTER in one transaction, the
state of the guard in --state-dir, and the file of --save. In the same step it removes table inet
etcdsec, if a former version of etcdsec loaded it for this cluster. Never touches another table. A reboot
removes the rules; nftables.service can load them again from the file of --save.

Exit status: 0 kept, or nothing to do, 1 undone, or the rules could not be loaded, 2 bad command
line or spec.`,
		Example: `  etcdsec policies apply -f cluster.yaml --dry-run
  etcdsec policies apply -f cluster.yaml --guard 60s
  etcdsec policies apply -f cluster.yaml --guard 60s --confirm checks \
    --save /etc/nftables.d/etcdsec-prod.nft
  etcdsec policies confirm
  etcdsec policies rollback`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd.Context(), a) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *policiesApplyFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	nodeFlag(cmd, &f.node)
	stateDirFlag(cmd, &f.stateDir)
	cmd.Flags().DurationVar(&f.guard, "guard", time.Minute, "`time` to confirm the change before it is undone")
	cmd.Flags().StringVar(&f.confirm, "confirm", confirmAsk, "`way` to confirm the change: ask, or checks")
	cmd.Flags().BoolVar(&f.cut, "cut", false, "load the rules even if they cut off hosts that are connected now")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would change and change nothing")
	cmd.Flags().StringVar(&f.save, "save", "", "`file` to write the confirmed rules to, for nftables.service")
	completeWords(cmd, "confirm", confirmAsk, confirmChecks)
	outputFlag(cmd, &f.output, "text", "json")
}

func stateDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "state-dir", "", "`folder` for the state of the guard, only for root (default "+guard.DirFor("CLUSTER")+")")
	_ = cmd.MarkFlagDirname("state-dir") // only completion; fails for unknown flags
}

func (f *policiesApplyFlags) check() error {
	switch {
	case f.guard < time.Second || f.guard > time.Hour:
		return usageError(fmt.Errorf("--guard %s: want 1s to 1h; a change without a guard could lock you out", f.guard), "--guard 60s")
	case f.confirm != confirmAsk && f.confirm != confirmChecks:
		return usageError(fmt.Errorf("--confirm %s: want ask or checks", f.confirm), "")
	case f.save != "" && !isDir(filepath.Dir(f.save)):
		return usageError(fmt.Errorf("--save %s: there is no folder %s", f.save, filepath.Dir(f.save)), "mkdir -p "+shellword.Path(filepath.Dir(f.save)))
	case f.spec == "-" && f.confirm == confirmAsk && !f.dryRun:
		return usageError(errors.New("-f -: standard input is needed to confirm the change"), "-f cluster.yaml, or --confirm checks")
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (f *policiesApplyFlags) run(ctx context.Context, a *app) error {
	if err := f.check(); err != nil {
		return err
	}
	i, err := a.loadIntent(f.spec)
	if err != nil {
		return err
	}
	if f.stateDir == "" {
		f.stateDir = guard.DirFor(i.Cluster)
	}
	again := "apply -f " + f.spec
	host, n, err := guard.Find(i, nodeName(f.node))
	if err != nil {
		return policiesError(err, again)
	}
	var state *guard.State
	if !f.dryRun {
		if state, err = f.openState(); err != nil {
			return err
		}
		defer state.Close()
	}
	plan, err := guard.NewPlan(ctx, i, host, host.Probes(i, secureAPIPort), n)
	if err != nil {
		return policiesError(err, again)
	}
	if f.dryRun {
		a.narrate("dry run: nothing was changed")
	}
	if f.output == "text" { // JSON has the plan together with its outcome
		if err := plan.WriteText(a.page()); err != nil {
			return err
		}
	}
	if !f.dryRun {
		return f.apply(ctx, a, plan, n, state)
	}
	return a.printPlanOutcome(f.output, plan)
}

func (f *policiesApplyFlags) openState() (*guard.State, error) {
	state, err := guard.Open(f.stateDir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, failure(err, "sudo etcdsec policies apply -f "+shellword.Path(f.spec))
	case errors.Is(err, durable.ErrLocked):
		return nil, failure(err, "wait for it to end; this run changed nothing")
	case errors.Is(err, guard.ErrOpen):
		return nil, failure(err, "etcdsec policies rollback"+stateDirHint(f.stateDir)+"   # or confirm")
	case err != nil:
		return nil, failure(err, "")
	}
	return state, nil
}

// apply changes the rules. state holds the lock of the guard's folder.
func (f *policiesApplyFlags) apply(ctx context.Context, a *app, p *guard.Plan, n guard.Nft, state *guard.State) error {
	if p.Outcome == guard.PlanUnchanged {
		a.narrate("nothing to do: the rules are in force")
		if f.save != "" {
			path, err := p.Save(f.save)
			if err != nil {
				return failure(err, "")
			}
			a.narrateSaved(path)
		}
		return a.printPlanOutcome(f.output, p)
	}
	change, err := p.Load(ctx, n, guard.Options{
		State: state, Within: f.guard, ByChecks: f.confirm == confirmChecks, Cut: f.cut, SavePath: f.save, Now: a.now,
		Watch: func(within time.Duration) error {
			return guard.Spawn(f.stateDir, []string{
				"policies", "watch", "--state-dir", f.stateDir, "--nft", string(n), "--within", within.String(),
			}, a.now().Add(10*time.Second))
		},
	})
	if _, cut := errors.AsType[*guard.CutError](err); cut {
		return failure(err, "add them to the spec, or cut them off with --cut")
	}
	if _, none := errors.AsType[*guard.NoChecksError](err); none {
		return failure(err, "--confirm ask")
	}
	if err != nil {
		return policiesError(err, "apply -f "+shellword.Path(f.spec))
	}
	a.narrate("loaded; the guard undoes the change in %s unless you confirm it", f.guard)
	var answers <-chan string
	if f.confirm == confirmAsk {
		how := "run"
		if isTerminal(a.stdin) {
			// Only a terminal: a line that a script left on standard input is no answer.
			how, answers = "type yes to keep it, or run", readLines(a.stdin)
		}
		a.narrate("%s from another session: etcdsec policies confirm%s", how, stateDirHint(f.stateDir))
	}
	reason, err := change.Wait(ctx, answers)
	if p.Outcome == guard.PlanKept {
		a.narrate("kept")
		if err != nil {
			return saveError(err, f.stateDir)
		}
		a.narrateKept(guard.SavePath(f.stateDir), p)
		return a.printPlanOutcome(f.output, p)
	}
	if err != nil {
		return failure(err, "etcdsec policies rollback"+stateDirHint(f.stateDir))
	}
	if err := a.printPlanOutcome(f.output, p); err != nil {
		return err
	}
	return failure(fmt.Errorf("the change was undone: %w", reason), "")
}

// narrateKept says that the rules are kept, and what a reboot does.
func (a *app) narrateKept(savePath string, p *guard.Plan) {
	if former := p.FormerTable(); former != "" {
		a.narrate("warning: table inet %s is gone, but a file that loads it at boot, such as /etc/nftables.d/etcdsec.nft, brings it back: remove that file", former)
	}
	if savePath == "" {
		a.narrate("a reboot removes the rules")
		a.narrate("hint: run this again with --save /etc/nftables.d/%s.nft", p.Rules.Tables[0].Name)
		return
	}
	a.narrateSaved(savePath)
}

// narrateSaved says how the saved rules are loaded after a reboot.
func (a *app) narrateSaved(path string) {
	a.narrate(`wrote %s; /etc/nftables.conf loads it at boot with the line: include "%[1]s"`, path)
	a.narrate("hint: systemctl enable nftables")
}

// saveError is the error of rules that are kept and were not saved.
func saveError(err error, stateDir string) error {
	return failure(err, "etcdsec policies confirm"+stateDirHint(stateDir)+"   # saves them, when that can be done")
}

func stateDirHint(dir string) string {
	if filepath.Dir(dir) == guard.DefaultDir {
		return "" // where confirm and rollback look
	}
	return " --state-dir " + shellword.Path(dir)
}

// readLines sends the lines of r until it ends. The goroutine ends with the process.
func readLines(r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// printPlanOutcome prints the outcome of a plan.
func (a *app) printPlanOutcome(output string, p *guard.Plan) error {
	if output == "json" {
		return a.printJSON(p)
	}
	_, err := fmt.Fprintln(a.stdout, p.Outcome)
	return err
}
