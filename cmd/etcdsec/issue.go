package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
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

// issueOptions are the flags that bootstrap and pki issue share.
type issueOptions struct {
	spec   string
	owner  string
	output string
	dryRun bool
}

func (o *issueOptions) flags(cmd *cobra.Command) {
	specFlag(cmd, &o.spec)
	outputFlag(cmd, &o.output, "text", "json")
	cmd.Flags().StringVar(&o.owner, "owner", "", "`user[:group]` to own the files of nodes and clients, by name or number (default: you)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be done and write nothing")
}

// step is one line of the result.
type step struct {
	Action string `json:"action"` // issue, extend, keep, due, write, update
	Name   string `json:"name"`
	Role   string `json:"role,omitempty"`
	Path   string `json:"path"` // in DIR
	Detail string `json:"detail,omitempty"`
}

type issueResult struct {
	SchemaVersion int    `json:"schema_version"`
	Dir           string `json:"dir"`
	Cluster       string `json:"cluster"`
	DryRun        bool   `json:"dry_run"`
	Steps         []step `json:"steps"`
}

// issue brings the store in dir up to the spec: certificates, and the files that render makes.
func (a *app) issue(ctx context.Context, o issueOptions, dir string, render func(*cluster.Cluster) ([]manifests.File, error)) error {
	c, err := a.loadSpec(o.spec)
	if err != nil {
		return err
	}
	owner, err := parseOwner(o.owner)
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

	now := a.now()
	work, err := store.Survey(pki.NewPlan(c), now)
	if err != nil {
		return failure(err, "")
	}
	result := issueResult{SchemaVersion: 1, Dir: dir, Cluster: c.Name, DryRun: o.dryRun, Steps: certificateSteps(work)}
	var files []manifests.File
	if render != nil {
		if files, err = render(c); err != nil {
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
		if err := store.Issue(ctx, work, c.YAML, pki.IssueConfig{Now: now, Owner: owner, Progress: a.progress("issued")}); err != nil {
			return failure(err, goesOn)
		}
		if err := writeFiles(store, files, owner); err != nil {
			return failure(err, goesOn)
		}
	}
	if err := a.printIssueResult(o.output, result); err != nil {
		return err
	}
	if work.Due() {
		return statusError{
			status: statusFindings,
			err:    errors.New("certificates marked due are not as the spec wants them; issuing never replaces a key"),
			hint:   "move the named folder away and run this again: it is issued anew",
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

func certificateSteps(work *pki.Work) []step {
	steps := make([]step, 0, len(work.Steps))
	for _, s := range work.Steps {
		steps = append(steps, step{Action: string(s.Action), Name: s.Name, Role: s.Role, Path: s.Path, Detail: s.Detail})
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
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", s.Action, s.Path+nameIn(s), s.Detail) // the writer remembers its error
	}
	if err := w.Flush(); err != nil {
		return err
	}
	issued, kept, written := counts["issue"]+counts["extend"], counts["keep"], counts["write"]+counts["update"]
	if r.DryRun {
		a.narrate("dry run: cluster %s: would issue %d certificates and write %d files in %s, and keep %d", r.Cluster, issued, written, r.Dir, kept)
		return nil
	}
	a.narrate("cluster %s: issued %d certificates, wrote %d files in %s, kept %d", r.Cluster, issued, written, r.Dir, kept)
	return nil
}

// nameIn tells the leaves of one bundle apart.
func nameIn(s step) string {
	switch s.Role {
	case "server", "peer", "gateway-client":
		return "/" + s.Role + ".crt"
	case "ca":
		return "/ca.crt"
	case "":
		return ""
	}
	return "/client.crt"
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
