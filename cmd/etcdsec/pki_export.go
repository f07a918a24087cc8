package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
	"github.com/etcdsec/etcdsec/pki/export"
)

func newPKIExportCommand(a *app) *cobra.Command {
	return newGroupCommand("export", "Turn a store into Secrets, PKCS #12 files or archives",
		`Turn what the store DIR holds into the form that others load it in: Kubernetes Secrets,
a PKCS #12 file, or a tar per node. What is exported is verified before: that a key is its
certificate's, and that the chain is valid now, to the root that its holder trusts.

DIR is read and never changed. Private keys go to files of mode 0600 and nowhere else.`,
		newPKIExportSecretsCommand(a),
		newPKIExportPKCS12Command(a),
		newPKIExportTarCommand(a),
	)
}

// onDiffer is what all three say about files that are there already.
const onDiffer = `A file that is there and equal is kept. One that differs is replaced with --force only:
without it, nothing at all is written.`

// exportOptions are the flags that all exports share.
type exportOptions struct {
	output string
	force  bool
	dryRun bool
}

func (o *exportOptions) flags(cmd *cobra.Command) {
	outputFlag(cmd, &o.output, "text", "json")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace files that are there and differ")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be written and write nothing")
}

// exported is one line of the result, with its file where there is one.
type exported struct {
	name, role, detail string
	file               export.File
	skipped            bool
}

type exportResult struct {
	SchemaVersion int    `json:"schema_version"`
	Dir           string `json:"dir"`
	Out           string `json:"out"` // the folder
	Cluster       string `json:"cluster"`
	DryRun        bool   `json:"dry_run"`
	Steps         []step `json:"steps"`
}

// export reads the store in dir, renders it, and writes the files into the folder out.
func (a *app) export(o exportOptions, dir, out string, render func(*export.Store, time.Time) ([]exported, error)) error {
	store, err := export.Open(dir)
	if err != nil {
		return a.exportStoreError(dir, err)
	}
	defer store.Close()
	if err := store.CheckOutside(out); err != nil {
		return usageError(err, "")
	}
	lines, err := render(store, a.now())
	if err != nil {
		return exportReadError(dir, err)
	}
	var files []export.File
	for _, l := range lines {
		if !l.skipped {
			files = append(files, l.file)
		}
	}
	actions, err := export.Deliver(out, files, export.Delivery{Force: o.force, DryRun: o.dryRun})
	if err != nil {
		if _, differ := errors.AsType[*export.DifferError](err); differ {
			return failure(err, "--force replaces them; nothing was written")
		}
		return failure(err, "")
	}
	result := exportResult{SchemaVersion: 1, Dir: dir, Out: out, Cluster: store.Cluster.Name, DryRun: o.dryRun, Steps: exportSteps(lines, actions)}
	return a.printExportResult(o.output, result)
}

func exportSteps(lines []exported, actions []export.Action) []step {
	steps := make([]step, 0, len(lines))
	next := 0
	for _, l := range lines {
		s := step{Action: "skip", Name: l.name, Role: l.role, Path: l.file.Name, Detail: l.detail}
		if !l.skipped {
			s.Action = string(actions[next])
			next++
		}
		steps = append(steps, s)
	}
	return steps
}

func (a *app) printExportResult(format string, r exportResult) error {
	if format == "json" {
		return a.printJSON(r)
	}
	counts := map[string]int{}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, s := range r.Steps {
		counts[s.Action]++
		where := s.Name
		if s.Path != "" {
			where = filepath.Join(r.Out, s.Path)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", s.Action, where, s.Detail) // the writer remembers its error
	}
	if err := w.Flush(); err != nil {
		return err
	}
	kept := counts[string(export.ActionKeep)]
	written := len(r.Steps) - kept - counts["skip"]
	if r.DryRun {
		a.narrate("dry run: cluster %s: would write %d files in %s, and keep %d", r.Cluster, written, r.Out, kept)
		return nil
	}
	a.narrate("cluster %s: wrote %d files in %s, kept %d", r.Cluster, written, r.Out, kept)
	return nil
}

func (a *app) exportStoreError(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return failure(fmt.Errorf("%s is no store: %w", dir, err), "etcdsec bootstrap -f cluster.yaml "+dir)
	}
	return a.storeError(dir, err)
}

// exportReadError says how to see what is wrong with a store.
func exportReadError(dir string, err error) error {
	if _, ok := errors.AsType[statusError](err); ok {
		return err
	}
	issue := fmt.Sprintf("etcdsec pki issue -f %s %s", filepath.Join(dir, pki.SpecName), dir)
	if errors.Is(err, export.ErrNotIssued) {
		return failure(err, issue)
	}
	return failure(err, issue+" --dry-run   # what is wrong with it")
}

// until is a certificate's end, for a line of the result.
func until(l export.Leaf) string {
	return "until " + l.Cert().NotAfter.UTC().Format(time.DateOnly)
}
