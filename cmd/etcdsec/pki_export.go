package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/pki"
	"github.com/etcdsec/etcdsec/pki/export"
)

func newPKIExportCommand(a *app) *cobra.Command {
	return newGroupCommand("export", "Turn a store into Secrets, PKCS #12 files or archives",
		`Turn the certificates of the store DIR into a form that other programs load: Kubernetes Secrets, a
PKCS #12 file, or a tar archive for each node. Before the export each key is matched with its
certificate, and each chain is verified up to the root that its holder trusts.

DIR is read and never changed. Private keys go to files of mode 0600 and nowhere else.`,
		newPKIExportSecretsCommand(a),
		newPKIExportPKCS12Command(a),
		newPKIExportTarCommand(a),
	)
}

// existingFilesHelp tells, in the help of each export, how it treats existing files.
const existingFilesHelp = `An existing file with the same content is kept. If one differs, nothing is written at all,
unless you give --force, which replaces it.`

// exportFlags are the flags that all exports share.
type exportFlags struct {
	output string
	export.Delivery
}

func (f *exportFlags) addFlags(cmd *cobra.Command) {
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().BoolVar(&f.Force, "force", false, "replace existing files that differ")
	cmd.Flags().BoolVar(&f.DryRun, "dry-run", false, "print what would be written and write nothing")
}

// export renders files from the store in dir, and writes them into the folder out.
func (a *app) export(f exportFlags, dir, out string, render func(*export.Store, time.Time) (export.Items, error)) error {
	if err := pki.CheckStore(dir); err != nil {
		return missingStore(err)
	}
	store, err := export.Open(dir)
	if err != nil {
		return a.storeError(dir, err)
	}
	defer store.Close()
	if err := pki.CheckOutsideStores(out); err != nil {
		return usageError(err, "")
	}
	items, err := render(store, a.now())
	for _, w := range items.Warnings {
		a.narrate("warning: %s", w)
	}
	if err != nil {
		return exportError(dir, err)
	}
	result, err := store.Deliver(out, items.List, f.Delivery)
	if _, differ := errors.AsType[*export.DifferError](err); differ {
		return failure(err, "--force replaces them; nothing was written")
	}
	if err != nil {
		return failure(err, "")
	}
	return a.printResult(f.output, result)
}

// exportError adds a hint to the error of an export.
func exportError(dir string, err error) error {
	if selection, ok := errors.AsType[*export.SelectionError](err); ok {
		return usageError(err, selection.Suggestion)
	}
	if _, ok := errors.AsType[*export.ReplicasError](err); ok {
		return failure(err, "list these names as addresses of one member in the spec, or give --name, --namespace, --replicas and --cluster-domain")
	}
	issue := fmt.Sprintf("etcdsec pki issue -f %s %s", shellword.Path(filepath.Join(dir, pki.SpecName)), shellword.Path(dir))
	switch {
	case errors.Is(err, export.ErrKeyElsewhere):
		return failure(err, "")
	case errors.Is(err, export.ErrNotIssued):
		return failure(err, issue)
	}
	return failure(err, issue+" --dry-run   # shows what is wrong with it")
}
