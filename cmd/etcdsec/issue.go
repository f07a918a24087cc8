package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/pki"
)

// signFlags hold the flags of the verbs that sign certificates.
type signFlags struct {
	spec   string
	owner  string
	signer string
	output string
	dryRun bool
	roots  rootKeyFlags
}

func (f *signFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().StringVar(&f.owner, "owner", "", "`user[:group]` to own the files of nodes and clients, by name or number (default: the owner that they have, or that of their folder)")
	cmd.Flags().StringVar(&f.signer, "signer", string(pki.BackendCfssl), "`signer` of leaves: cfssl, or std, which uses only Go's crypto/x509; FIPS mode always uses std")
	completeWords(cmd, "signer", "cfssl", "std")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be done and write nothing")
	f.roots.addFlags(cmd)
}

// signing tells signFlags.run what a verb signs and what else it does.
type signing struct {
	change pki.Change
	remote *pki.Remote // signs leaves in place of the store's keys
	// render makes the files in addition to the certificates; nil makes none.
	render func(*cluster.Cluster) ([]durable.File, error)
	// next returns what the user must do afterwards; nil is nothing.
	next func(*cluster.Cluster, pki.Result) []string
	// nextDue adds which certificate is due first, after this run.
	nextDue bool
	// quiet prints nothing about a run that had nothing to do.
	quiet bool
}

// runInStore is run for a store that must exist.
func (f signFlags) runInStore(ctx context.Context, a *app, dir string, s signing) error {
	var err error
	if f.spec, err = storeSpec(f.spec, dir); err != nil {
		return err
	}
	return f.run(ctx, a, dir, s)
}

// storeSpec returns the path of the spec for a store that must exist: the given path, or else the
// store's own spec.
func storeSpec(given, dir string) (string, error) {
	if err := pki.CheckStore(dir); err != nil {
		return "", missingStore(err)
	}
	return specOrOwn(given, dir)
}

// specOrOwn returns the given path of a spec, or else that of the spec in the folder dir.
func specOrOwn(given, dir string) (string, error) {
	if given != "" {
		return given, nil
	}
	own := filepath.Join(dir, pki.SpecName)
	if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
		return "", usageError(fmt.Errorf("%s does not exist", own), "give the cluster spec with -f, such as -f cluster.yaml")
	}
	return own, nil
}

// missingStore returns the usage error for a folder that is not a store, with the stores that may have
// been meant. It never advises to make a new store: that would be a second PKI beside the one in use.
func missingStore(err error) error {
	missing, ok := errors.AsType[*pki.NoStoreError](err)
	switch {
	case !ok:
		return failure(err, "")
	case len(missing.Nearby) == 0:
		return usageError(err, "give the folder that etcdsec bootstrap, pki issue or pki import wrote")
	}
	const most = 3
	names := make([]string, 0, most)
	for _, path := range missing.Nearby[:min(len(missing.Nearby), most)] {
		names = append(names, shellword.Path(path))
	}
	return usageError(err, "stores that are here: "+strings.Join(names, ", "))
}

// run makes the store in dir match the spec: its certificates, and the files that render makes.
func (f signFlags) run(ctx context.Context, a *app, dir string, s signing) error {
	c, err := a.readSpec(f.spec)
	if err != nil {
		return err
	}
	if !s.quiet {
		a.warn(c)
	}
	config := pki.IssueConfig{Now: a.now(), Backend: pki.Backend(f.signer), Progress: a.progress("signed %d of %d certificates")}
	if config.Backend != pki.BackendCfssl && config.Backend != pki.BackendStd {
		return usageError(fmt.Errorf("--signer %s: want cfssl or std", f.signer), "")
	}
	if config.Owner, err = parseOwner(f.owner); err != nil {
		return err
	}
	keep, access, err := f.roots.Read(a.files)
	if err != nil {
		return usageError(err, "")
	}
	access.Supervisor = supervisor()
	if !f.dryRun {
		if err := f.roots.confirm(ctx, a, dir); err != nil {
			return err
		}
	}
	store, err := a.openStore(dir, f.spec, c, f.dryRun)
	if err != nil {
		return err
	}
	defer store.Close()
	store.Remote, store.RootKeys, store.Keys = s.remote, keep, access

	s.change.DryRun = f.dryRun
	if s.render != nil {
		if s.change.Files, err = s.render(c); err != nil {
			return failure(err, "")
		}
	}
	added, err := store.AddedMembers(c)
	if err != nil {
		return failure(err, "")
	}
	for _, name := range added {
		a.narrate("warning: member %s is new, and this store has other members: if the cluster already runs, set `joining: true` for it in the spec, and run `etcdctl member add` before it starts", name)
	}
	result, err := store.Apply(ctx, c, s.change, config)
	if err != nil {
		return applyError(err)
	}
	if s.next != nil {
		result.Next = s.next(c, result)
	}
	if s.nextDue && !f.dryRun {
		result.NextDue = pki.NextDue(dir, c, config.Now)
	}
	if s.quiet {
		if result.IsIdle() {
			return nil
		}
		a.warn(c)
	}
	if err := a.printResult(f.output, result); err != nil {
		return err
	}
	if len(result.Faults) > 0 {
		faults := make([]error, len(result.Faults))
		for i, fault := range result.Faults {
			faults[i] = errors.New(fault)
		}
		return failure(errors.Join(faults...), resumeHint)
	}
	if result.Count(pki.ActionDue) > 0 {
		hint := "etcdsec pki renew " + shellword.Path(dir) // by the spec, which is now in it
		if at := slices.IndexFunc(result.Steps, func(s pki.Step) bool { return s.Remedy != nil }); at >= 0 {
			hint = result.Steps[at].Remedy.Command
		}
		return statusError{
			status: statusFindings,
			err:    errors.New("this run did not change the certificates marked due"),
			hint:   hint,
		}
	}
	return nil
}

// openStore opens a store to change it, or only to read it for a dry run. The spec c was read from the
// path spec.
func (a *app) openStore(dir, spec string, c *cluster.Cluster, dryRun bool) (*pki.Store, error) {
	open := pki.OpenStore
	if dryRun {
		open = pki.PeekStore
	}
	store, err := open(dir, c)
	if err != nil {
		return nil, a.storeError(dir, err)
	}
	if err := store.CheckSpec(c, spec); err != nil {
		store.Close()
		return nil, a.storeError(dir, err)
	}
	// Its folders and keys are closed to others all the same, and a folder that was there
	// before is not ours to change.
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o077 != 0 {
		a.narrate("warning: %s has mode %04o; chmod 700 %s", dir, info.Mode().Perm(), shellword.Path(dir))
	}
	return store, nil
}

// resumeHint is the hint after a run that stopped half-way.
const resumeHint = "fix the cause and run the same command again; it continues where this run stopped"

func applyError(err error) error {
	if e, disagree := errors.AsType[*pki.DisagreementError](err); disagree {
		hint := "etcdsec pki verify " + shellword.Path(e.Dir)
		if e.Mendable {
			hint = fmt.Sprintf("restore the ledger from a newer backup, or if the files are this store's own: etcdsec pki recover --ledger %s", shellword.Path(e.Dir))
		}
		return failure(err, hint)
	}
	if _, unfinished := errors.AsType[*pki.UnfinishedError](err); unfinished {
		return failure(err, resumeHint)
	}
	return failure(err, "")
}

// writtenResult is the result of a verb that writes files.
type writtenResult interface {
	WriteText(out io.Writer) error
	Summary() string // one line for stderr
}

// printResult prints a result as JSON, or as text with its summary on stderr.
func (a *app) printResult(format string, r writtenResult) error {
	if format == "json" {
		return a.printJSON(r)
	}
	if err := r.WriteText(a.page()); err != nil {
		return err
	}
	a.narrate("%s", r.Summary())
	return nil
}

// storeError adds a hint to the error of opening a store.
func (a *app) storeError(dir string, err error) error {
	switch {
	case errors.Is(err, durable.ErrLocked):
		return failure(err, "wait for it to end; this run changed nothing")
	case errors.Is(err, pki.ErrSpecChanged):
		return failure(err, "run the same command again; this run changed nothing")
	case errors.Is(err, pki.ErrForeignStore):
		return failure(err, "give another folder; nothing changed in "+dir)
	}
	return failure(err, "")
}

// parseOwner reads --owner.
func parseOwner(s string) (*durable.Owner, error) {
	owner, err := durable.ParseOwner(s)
	if err != nil {
		return nil, usageError(fmt.Errorf("--owner %w", err), "")
	}
	return owner, nil
}
