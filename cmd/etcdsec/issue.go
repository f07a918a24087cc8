package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/manifests"
	"github.com/etcdsec/etcdsec/pki"
)

// issueOptions are the flags of the verbs that sign.
type issueOptions struct {
	spec   string
	owner  string
	signer string
	output string
	dryRun bool
	roots  rootKeyOptions
}

func (o *issueOptions) flags(cmd *cobra.Command) {
	specFlag(cmd, &o.spec)
	outputFlag(cmd, &o.output, "text", "json")
	cmd.Flags().StringVar(&o.owner, "owner", "", "`user[:group]` to own the files of nodes and clients, by name or number (default: as they are, or you)")
	cmd.Flags().StringVar(&o.signer, "signer", string(pki.BackendCfssl), "what signs leaves: cfssl, or `std`, Go's crypto/x509 alone; under FIPS always std")
	_ = cmd.RegisterFlagCompletionFunc("signer", cobra.FixedCompletions([]string{"cfssl", "std"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for unknown flags
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be done and write nothing")
	o.roots.flags(cmd)
}

// signing is one verb that signs.
type signing struct {
	renewal pki.Renewal
	remote  *pki.Remote // signs leaves in place of the store's keys
	// render makes the files beside the certificates; nil makes none.
	render func(*cluster.Cluster) ([]manifests.File, error)
	// after adds to the result what the user is to do next; nil adds nothing.
	after func(*cluster.Cluster, *issueResult)
}

// step is one line of the result.
type step struct {
	Action string `json:"action"` // issue, renew, extend, protect, sign, keep, due, write, update
	Name   string `json:"name"`
	Role   string `json:"role,omitempty"`
	Path   string `json:"path"`           // in DIR
	File   string `json:"file,omitempty"` // the certificate's, in path
	Detail string `json:"detail,omitempty"`
}

type issueResult struct {
	SchemaVersion int    `json:"schema_version"`
	Dir           string `json:"dir"`
	Cluster       string `json:"cluster"`
	DryRun        bool   `json:"dry_run"`
	Steps         []step `json:"steps"`
	// Next is what is left to do by hand, in order.
	Next []string `json:"next,omitempty"`
}

// signStore is sign for a store that is there.
func (a *app) signStore(ctx context.Context, o issueOptions, dir string, s signing) error {
	var err error
	if o.spec, err = storeSpec(o.spec, dir); err != nil {
		return err
	}
	return a.sign(ctx, o, dir, s)
}

// storeSpec is the spec for a verb about a store that is there: its own unless one is given.
func storeSpec(given, dir string) (string, error) {
	if given != "" {
		return given, nil
	}
	own := filepath.Join(dir, pki.SpecName)
	if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
		return "", usageError(fmt.Errorf("%s is not there: is %s a store?", own, dir), "etcdsec bootstrap -f cluster.yaml "+dir)
	}
	return own, nil
}

// sign brings the store in dir up to the spec: certificates, and the files that render makes.
func (a *app) sign(ctx context.Context, o issueOptions, dir string, s signing) error {
	c, err := a.loadSpec(o.spec)
	if err != nil {
		return err
	}
	config := pki.IssueConfig{Now: a.now(), Backend: pki.Backend(o.signer), Progress: a.progress("signed")}
	if config.Backend != pki.BackendCfssl && config.Backend != pki.BackendStd {
		return usageError(fmt.Errorf("--signer %s: want cfssl or std", o.signer), "")
	}
	if config.Owner, err = parseOwner(o.owner); err != nil {
		return usageError(err, "")
	}
	keep, access, err := o.roots.read()
	if err != nil {
		return usageError(err, "")
	}
	open := pki.OpenStore
	if o.dryRun {
		open = pki.PeekStore
	}
	store, err := open(dir, c)
	if err != nil {
		return a.storeError(dir, err)
	}
	defer store.Close()
	a.warnOpenDir(dir)
	store.Remote, store.RootKeys, store.Keys = s.remote, keep, access

	work, err := store.Survey(ctx, pki.NewPlan(c), config.Now, s.renewal)
	if err != nil {
		return failure(err, "")
	}
	result := issueResult{SchemaVersion: 1, Dir: dir, Cluster: c.Name, DryRun: o.dryRun, Steps: certificateSteps(work)}
	var files []manifests.File
	if s.render != nil {
		if files, err = s.render(c); err != nil {
			return failure(err, "")
		}
		steps, err := fileSteps(store, files)
		if err != nil {
			return failure(err, "")
		}
		result.Steps = append(result.Steps, steps...)
	}
	if err := a.warnAddedMembers(c, dir); err != nil {
		return failure(err, "")
	}
	if !o.dryRun {
		if err := store.Issue(ctx, work, c.YAML, config); err != nil {
			return failure(err, goesOn)
		}
		if err := writeFiles(store, files, config.Owner); err != nil {
			return failure(err, goesOn)
		}
	}
	if s.after != nil {
		s.after(c, &result)
	}
	if err := a.printIssueResult(o.output, result); err != nil {
		return err
	}
	if work.Due() {
		return statusError{
			status: statusFindings,
			err:    errors.New("certificates marked due are not as the spec wants them, and this run left them as they are"),
			hint:   "etcdsec pki renew " + dir, // by the spec, which is now in it
		}
	}
	return nil
}

// goesOn is the way out of a run that stopped half-way.
const goesOn = "run the same command again once the cause is mended; it goes on where this run stopped"

// writeFiles writes the files that differ from the store's; what is equal is not touched.
func writeFiles(store *pki.Store, files []manifests.File, owner *durable.Owner) error {
	for _, f := range files {
		if _, equal, err := store.FileState(f.Path, f.Data); err != nil {
			return err
		} else if equal {
			continue
		}
		file := durable.File{Name: path.Base(f.Path), Mode: 0o644, Data: f.Data}
		if err := store.WriteFile(path.Dir(f.Path), file, owner); err != nil {
			return err
		}
	}
	return nil
}

// warnOpenDir says when others can list the store. Its folders and keys are closed to
// them all the same, and a folder that was there before is not ours to change.
func (a *app) warnOpenDir(dir string) {
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o077 != 0 {
		a.narrate("warning: %s has mode %04o; chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
}

// warnAddedMembers asks about members that the ledger has never seen, in a store that has
// others: etcd must be told that it joins a cluster and does not begin one.
func (a *app) warnAddedMembers(c *cluster.Cluster, dir string) error {
	entries, err := pki.ReadLedger(dir)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, e := range entries {
		known[e.Name] = true
	}
	isKnown := func(m cluster.Member) bool { return known[m.Name+"/server"] }
	if !slices.ContainsFunc(c.Etcd.Members, isKnown) {
		return nil
	}
	for _, m := range c.Etcd.Members {
		if !isKnown(m) && !m.Joining {
			a.narrate("warning: %s is new here and others are not: if the cluster runs already, give it `joining: true` in the spec, and `etcdctl member add` it before it starts", m.Name)
		}
	}
	return nil
}

func certificateSteps(work *pki.Survey) []step {
	steps := make([]step, 0, len(work.Steps))
	for _, s := range work.Steps {
		steps = append(steps, step{Action: string(s.Action), Name: s.Name, Role: s.Role, Path: s.Path, File: s.File, Detail: s.Detail})
	}
	return steps
}

func fileSteps(store *pki.Store, files []manifests.File) ([]step, error) {
	steps := make([]step, 0, len(files))
	for _, f := range files {
		exists, equal, err := store.FileState(f.Path, f.Data)
		if err != nil {
			return nil, err
		}
		action := "write"
		switch {
		case equal:
			action = "keep"
		case exists:
			action = "update"
		}
		steps = append(steps, step{Action: action, Name: path.Base(f.Path), Path: f.Path})
	}
	return steps, nil
}

func (a *app) printIssueResult(format string, r issueResult) error {
	if format == "json" {
		return a.printJSON(r)
	}
	counts := map[string]int{}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, s := range r.Steps {
		counts[s.Action]++
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", s.Action, path.Join(s.Path, s.File), s.Detail) // the writer remembers its error
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.printNext(r.Next)
	issued, kept, written := counts["issue"]+counts["extend"], counts["keep"], counts["write"]+counts["update"]
	would, did := "", ""
	if n := counts["renew"]; n > 0 {
		would, did = fmt.Sprintf(", renew %d", n), fmt.Sprintf(", renewed %d", n)
	}
	if r.DryRun {
		a.narrate("dry run: cluster %s: would issue %d certificates%s and write %d files in %s, and keep %d", r.Cluster, issued, would, written, r.Dir, kept)
		return nil
	}
	a.narrate("cluster %s: issued %d certificates%s, wrote %d files in %s, kept %d", r.Cluster, issued, did, written, r.Dir, kept)
	return nil
}

// printNext prints what is left to do by hand.
func (a *app) printNext(next []string) {
	for i, s := range next {
		if i == 0 {
			_, _ = fmt.Fprintln(a.stdout, "\nNext:")
		}
		_, _ = fmt.Fprintf(a.stdout, "%3d. %s\n", i+1, s)
	}
}

// storeError turns what kept a store closed into a way out.
func (a *app) storeError(dir string, err error) error {
	switch {
	case errors.Is(err, durable.ErrLocked):
		return failure(err, "wait for it to end; nothing was changed by this run")
	case errors.Is(err, pki.ErrForeignStore):
		return failure(err, "give another folder; nothing was changed in "+dir)
	}
	return failure(err, "")
}

// parseOwner reads "user[:group]"; a user's own group is the default.
func parseOwner(s string) (*durable.Owner, error) {
	if s == "" {
		return nil, nil
	}
	name, group, withGroup := strings.Cut(s, ":")
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			if uid, numberErr := strconv.Atoi(name); numberErr == nil && uid >= 0 {
				u, err = &user.User{Uid: name, Gid: name}, nil // a user of the node, unknown here
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--owner %q: no such user here; give a number, such as 1000:1000", s)
	}
	gid := u.Gid
	if withGroup {
		gid = group
		if g, err := user.LookupGroup(group); err == nil {
			gid = g.Gid
		}
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gidNumber, gidErr := strconv.Atoi(gid)
	if uidErr != nil || gidErr != nil || uid < 0 || gidNumber < 0 {
		return nil, fmt.Errorf("--owner %q: no such group here; give a number, such as 1000:1000", s)
	}
	return &durable.Owner{UID: uid, GID: gidNumber}, nil
}
