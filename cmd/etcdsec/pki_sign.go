package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKISignCommand(a *app) *cobra.Command {
	var o issueOptions
	cmd := &cobra.Command{
		Use:   "sign DIR NAME FOLDER|FILE",
		Short: "Sign the certificate requests of a node",
		Long: `Sign the certificate requests (CSRs) that "etcdsec pki csr" made for NAME, a member, a
client or one leaf, into the store in DIR. The requests are a folder of .csr files, or the
one file of a leaf.

A request gives its public key and the proof that its maker has the private one. Subject,
names, key usages and lifetime come from the spec. One that asks for anything else is
refused: another subject, names that are not the member's, to be a CA; so is a weak key,
and one that another certificate has or had.

The bundle that is to go back to the node, without any key, is then in DIR: copy it and
install it there with "etcdsec pki install".

Reads DIR, the requests, and the spec: DIR/cluster.yaml, or the one given with -f. Writes
DIR only.`,
		Example: `  etcdsec pki sign ./store etcd-0 ./etcd-0/ --dry-run
  etcdsec pki sign ./store etcd-0 ./etcd-0/
  etcdsec pki sign ./store backup ./client.csr`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.signRequests(cmd.Context(), o, given[0], given[1], given[2])
		},
	}
	o.flags(cmd)
	return cmd
}

func (a *app) signRequests(ctx context.Context, o issueOptions, dir, name, from string) error {
	var err error
	if o.spec, err = storeSpec(o.spec, dir); err != nil {
		return err
	}
	c, err := cluster.Load(o.spec)
	if err != nil {
		return usageError(err, "")
	}
	bundle, leaves, ok := pki.NewPlan(c).Find(name)
	if !ok {
		return usageError(fmt.Errorf("the spec has no member, client or leaf %q", name), "")
	}
	requests, err := readRequests(leaves, from)
	if err != nil {
		return failure(err, "")
	}
	after := func(_ *cluster.Cluster, r *issueResult) {
		folder := filepath.Join(dir, filepath.FromSlash(bundle.Path))
		r.Next = append(r.Next,
			fmt.Sprintf("copy %s to the node of %s", folder, name),
			fmt.Sprintf("there: etcdsec pki install -f cluster.yaml %s FOLDER %s --keys KEYS", name, installTarget(c, bundle)))
	}
	return a.sign(ctx, o, dir, signing{renewal: pki.Renewal{Requests: requests}, after: after})
}

// readRequests reads and checks the CSRs for some leaves out of a folder or one file.
func readRequests(leaves []pki.Leaf, from string) (map[string]*x509.CertificateRequest, error) {
	const mostBytes = 64 << 10
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	switch {
	case info.IsDir():
		if files, err = pki.Requests(from, leaves); err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no request: want %s", from, pki.RequestFile(leaves[0]))
		}
	case len(leaves) > 1:
		return nil, fmt.Errorf("%s is one file, and there are %d certificates: name one, such as %s, or give the folder", from, len(leaves), leaves[0].Name)
	default:
		files[leaves[0].Name] = from
	}
	requests := map[string]*x509.CertificateRequest{}
	var faults []error
	for _, l := range leaves {
		file := files[l.Name]
		if file == "" {
			continue
		}
		data, err := durable.ReadFile(file, mostBytes)
		if err == nil {
			requests[l.Name], err = pki.ParseRequest(data)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("reading the request %s: %w", file, err))
		}
	}
	return requests, errors.Join(faults...)
}

// installTarget is where a bundle's holder reads it.
func installTarget(c *cluster.Cluster, b pki.Bundle) string {
	for _, m := range c.Etcd.Members {
		if b.Path == "nodes/"+m.Name+"/pki" {
			return c.Etcd.PKIDir(m)
		}
	}
	return "TARGET"
}
