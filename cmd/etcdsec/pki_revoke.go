package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKIRevokeCommand(a *app) *cobra.Command {
	var o revokeOptions
	cmd := &cobra.Command{
		Use:   "revoke DIR SERIAL|NAME|FILE",
		Short: "Revoke certificates and sign the revocation lists",
		Long: `Revoke a certificate by its serial number, by the name of a leaf, member or client, or by
its PEM file. A name means every valid certificate of that name but the one in use; with
--current that one too, which shuts its holder out. So: renew with --new-key, bring the new
files to their node, then revoke the name.

The revocation is entered in the ledger, and the revocation lists are signed anew: DER as
client.crl and peer.crl in every member's bundle (etcd 3.6 and later refuses everybody
while it finds a PEM there; 3.5 reads DER as well), DER and PEM in authorities/.

What etcd does with a list: it reads it at every handshake, so a new one needs no restart.
It compares serial numbers alone, and looks at no date and no signature. It does not close
connections that are open: whoever was let in stays until the member restarts. It reads a
list only when told to: spec.pki.crl: true. Clients of etcd, kube-apiserver among them,
check no list at all: revoking a server certificate stops no client from trusting it.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes DIR only.`,
		Example: `  etcdsec pki revoke ./store backup --reason keyCompromise --dry-run
  etcdsec pki revoke ./store 3f:a2:90:1c --reason superseded
  etcdsec pki revoke ./store ./stolen.crt --current --reason keyCompromise`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.revoke(cmd.Context(), o, given[0], given[1])
		},
	}
	specFlag(cmd, &o.spec)
	outputFlag(cmd, &o.output, "text", "json")
	cmd.Flags().StringVar(&o.reason, "reason", "unspecified", "`why`: "+strings.Join(pki.Reasons(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(pki.Reasons(), cobra.ShellCompDirectiveNoFileComp)) // fails only for unknown flags
	cmd.Flags().BoolVar(&o.current, "current", false, "revoke what is in use too")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be revoked and write nothing")
	return cmd
}

type revokeOptions struct {
	spec, output, reason string
	current, dryRun      bool
}

type revokeResult struct {
	SchemaVersion int       `json:"schema_version"`
	Dir           string    `json:"dir"`
	Cluster       string    `json:"cluster"`
	DryRun        bool      `json:"dry_run"`
	Revoked       []revoked `json:"revoked"`
	Next          []string  `json:"next"`
}

type revoked struct {
	Name     string    `json:"name"`
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
	Reason   string    `json:"reason"`
}

func (a *app) revoke(ctx context.Context, o revokeOptions, dir, which string) error {
	spec, err := storeSpec(o.spec, dir)
	if err != nil {
		return err
	}
	c, err := a.loadSpec(spec)
	if err != nil {
		return err
	}
	revocation := pki.Revocation{Which: which, Reason: o.reason, Current: o.current}
	if revocation.Certificate, err = certificateFile(which); err != nil {
		return failure(err, "")
	}
	store, err := pki.PeekStore(dir, c)
	if err != nil {
		return a.storeError(dir, err)
	}
	defer store.Close()
	now := a.now()
	entries, err := store.PlanRevocation(pki.NewPlan(c), revocation, now)
	if errors.Is(err, pki.ErrCurrent) {
		return failure(err, fmt.Sprintf("etcdsec pki renew %s NAME --new-key first; or --current, to shut its holder out", dir))
	}
	if err != nil {
		return failure(err, "")
	}
	if !o.dryRun {
		if err := a.enterRevocation(ctx, store, c, entries, now); err != nil {
			return err
		}
	}
	result := revokeResult{SchemaVersion: 1, Dir: dir, Cluster: c.Name, DryRun: o.dryRun, Revoked: []revoked{}, Next: afterRevocation(c, dir)}
	for _, e := range entries {
		result.Revoked = append(result.Revoked, revoked{e.Name, e.Serial, e.NotAfter, e.Reason})
	}
	return a.printRevoked(o.output, result)
}

// enterRevocation writes the ledger first. A run that dies before the lists are signed has
// revoked all the same: the next one signs them.
func (a *app) enterRevocation(ctx context.Context, store *pki.Store, c *cluster.Cluster, entries []pki.Entry, now time.Time) error {
	if err := store.Revoke(entries); err != nil {
		return failure(err, "")
	}
	work, err := store.Survey(ctx, pki.NewPlan(c), now, pki.Renewal{ListsOnly: true})
	if err == nil {
		err = store.Issue(ctx, work, c.YAML, pki.IssueConfig{Now: now})
	}
	if err != nil {
		return failure(fmt.Errorf("the revocation is in the ledger, and the lists are not signed: %w", err), "mend the cause, then: etcdsec pki renew "+store.Dir)
	}
	return nil
}

// certificateFile reads the leaf of a PEM file, where the argument names one.
func certificateFile(path string) (*x509.Certificate, error) {
	const mostBytes = 1 << 20
	data, err := durable.ReadFile(path, mostBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, nil //nolint:nilerr // a folder named like a client, say; it is no certificate's file
	}
	certs, err := pki.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return certs[0], nil
}

func afterRevocation(c *cluster.Cluster, dir string) []string {
	var next []string
	if c.PKI.CRL {
		for _, m := range c.Etcd.Members {
			path := "nodes/" + m.Name + "/pki"
			next = append(next, fmt.Sprintf("copy %s to %s: it has the new lists, which etcd reads at the next handshake", filepath.Join(dir, path), destination(c, path)))
		}
	} else {
		next = append(next, "nobody is shut out yet: members read a revocation list only with spec.pki.crl: true, etcdsec bootstrap, and a restart with the new configuration")
	}
	return append(next,
		"restart the members one by one if a connection may be open: etcd does not close it",
		"where a key is stolen, see that nothing else trusts it: clients of etcd check no list")
}

func (a *app) printRevoked(format string, r revokeResult) error {
	if format == "json" {
		return a.printJSON(r)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, e := range r.Revoked {
		_, _ = fmt.Fprintf(w, "revoke\t%s\t%s\tvalid until %s\t%s\n", e.Name, e.Serial, e.NotAfter.Format(time.DateOnly), e.Reason) // the writer remembers its error
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.printNext(r.Next)
	prefix := ""
	if r.DryRun {
		prefix = "dry run: "
	}
	if len(r.Revoked) == 0 {
		a.narrate("%scluster %s: revoked already", prefix, r.Cluster)
		return nil
	}
	a.narrate("%scluster %s: revoked %d certificates", prefix, r.Cluster, len(r.Revoked))
	return nil
}
