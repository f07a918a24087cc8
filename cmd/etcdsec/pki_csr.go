package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKICSRCommand(a *app) *cobra.Command {
	var o csrOptions
	cmd := &cobra.Command{
		Use:   "csr -f cluster.yaml NAME DIR",
		Short: "Make keys and certificate requests on a node",
		Long: `Make a private key and a certificate request (CSR) in DIR for each certificate of NAME: a
member such as etcd-0, a client such as backup, or one leaf such as etcd-0/peer. Run it on
the node that is to have the keys; they never leave it. Bring the .csr files to the
operator, who signs them: etcdsec pki sign. Then: etcdsec pki install.

A key that is in DIR already is kept, and gets a request. Give a folder other than the one
that etcd reads, so that a running member keeps its old keys until the new certificates
are there.

Reads the spec. Writes keys with mode 0600 and requests in DIR only. Uses no network.`,
		Example: `  etcdsec pki csr -f cluster.yaml etcd-0 ./new
  scp ./new/*.csr operator:etcd-0/                # the requests, never the keys`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.csr(o, given[0], given[1])
		},
	}
	specFlag(cmd, &o.spec)
	outputFlag(cmd, &o.output, "text", "json")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be made and write nothing")
	return cmd
}

type csrOptions struct {
	spec, output string
	dryRun       bool
}

type csrResult struct {
	SchemaVersion int       `json:"schema_version"`
	Dir           string    `json:"dir"`
	DryRun        bool      `json:"dry_run"`
	Requests      []request `json:"requests"`
}

type request struct {
	Name string `json:"name"`
	Key  string `json:"key"` // in DIR
	CSR  string `json:"csr"` // in DIR
	Kept bool   `json:"key_kept"`
}

func (a *app) csr(o csrOptions, name, dir string) error {
	c, err := a.loadSpec(o.spec)
	if err != nil {
		return err
	}
	plan := pki.NewPlan(c)
	_, leaves, ok := plan.Find(name)
	if !ok {
		return usageError(fmt.Errorf("the spec has no member, client or leaf %q", name), "")
	}
	result := csrResult{SchemaVersion: 1, Dir: dir, DryRun: o.dryRun}
	if !o.dryRun {
		if err := durable.MakeDirs(dir, nil); err != nil {
			return failure(err, "")
		}
		release, err := durable.Lock(dir)
		if err != nil {
			return a.storeError(dir, err)
		}
		defer release()
	}
	for _, l := range leaves {
		made, err := requestLeaf(l, c.PKI.KeyAlgorithm, dir, o.dryRun)
		if err != nil {
			return failure(err, "")
		}
		result.Requests = append(result.Requests, made)
	}
	if o.output == "json" {
		return a.printJSON(result)
	}
	for _, r := range result.Requests {
		_, _ = fmt.Fprintln(a.stdout, filepath.Join(dir, r.CSR)) // the writer remembers its error
	}
	a.narrate("requests for %s: bring these files to the operator, and the keys beside them to nobody", name)
	return nil
}

// requestLeaf makes the key first: one without a request is used by the next run.
func requestLeaf(l pki.Leaf, algorithm cluster.KeyAlgorithm, dir string, dryRun bool) (request, error) {
	r := request{Name: l.Name, Key: l.KeyFile, CSR: pki.RequestFile(l)}
	key, err := pki.ReadKey(filepath.Join(dir, filepath.FromSlash(l.KeyFile)))
	switch {
	case err == nil:
		r.Kept = true
	case !errors.Is(err, fs.ErrNotExist):
		return r, err
	case dryRun:
		return r, nil
	default:
		made, keyPEM, err := pki.NewKey(algorithm)
		if err != nil {
			return r, fmt.Errorf("making the key of %s: %w", l.Name, err)
		}
		if err := writeBelow(dir, l.KeyFile, 0o600, keyPEM); err != nil {
			return r, err
		}
		key = made
	}
	csrPEM, err := pki.NewRequest(l, key)
	if err != nil || dryRun {
		return r, err
	}
	return r, writeBelow(dir, r.CSR, 0o644, csrPEM)
}

func writeBelow(dir, name string, mode os.FileMode, data []byte) error {
	folder := filepath.Join(dir, filepath.FromSlash(path.Dir(name)))
	if err := durable.MakeDirs(folder, nil); err != nil {
		return err
	}
	return durable.WriteFile(folder, durable.File{Name: path.Base(name), Mode: mode, Data: data}, nil)
}
