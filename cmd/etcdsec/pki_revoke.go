package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/pki"
)

// pkiRevokeFlags hold the flags as the operator wrote them.
type pkiRevokeFlags struct {
	spec, output, reason string
	current, dryRun      bool
}

func newPKIRevokeCommand(a *app) *cobra.Command {
	var flags pkiRevokeFlags
	cmd := &cobra.Command{
		Use:   "revoke DIR SERIAL|NAME|FILE",
		Short: "Revoke certificates and sign the revocation lists",
		Long: `Revoke a certificate by its serial number, by the name of a leaf, member or client, or by its PEM
file. A name stands for every valid certificate of that name except the one in use. --current
includes that one, which shuts its holder out, and with an issuing CA everything below it. So: renew
with --new-key, bring the new files to their node, then revoke the name.

With the reasons keyCompromise, cACompromise and aACompromise, the key counts as stolen, and no verb
certifies it again, under any name. Other certificates of that key are revoked too, except those in
use. "pki status" and "pki verify" name each place that still uses the key, and the next
"pki renew" makes new keys for them. Nothing is signed by an issuing CA that was revoked, until
"pki renew" replaces it.

The ledger records the revocation, and the revocation lists are signed anew: as DER in client.crl
and peer.crl of every member's bundle, as DER and PEM in authorities/. (With PEM, etcd 3.6 and later
refuse every client; 3.5 reads both.)

What etcd does with a list: it reads it at every handshake, so a new one needs no restart.
It compares serial numbers only, not dates or signatures. It does not close open connections: they
stay until the member restarts. It reads a list only with spec.pki.crl: true. Clients of etcd, such
as kube-apiserver, check no list: they still trust a revoked server certificate.

Reads DIR, and the spec: DIR/cluster.yaml, or the one given with -f. Writes only DIR.`,
		Example: `  etcdsec pki revoke ./store backup --reason keyCompromise --dry-run
  etcdsec pki revoke ./store 3f:a2:90:1c --reason superseded
  etcdsec pki revoke ./store ./stolen.crt --current --reason keyCompromise`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.run(cmd.Context(), a, given[0], given[1])
		},
	}
	cmd.ValidArgsFunction = completeStoreNames
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiRevokeFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().StringVar(&f.reason, "reason", "unspecified", "`reason`: "+strings.Join(pki.Reasons(), ", "))
	completeWords(cmd, "reason", pki.Reasons()...)
	cmd.Flags().BoolVar(&f.current, "current", false, "also revoke the certificate that is in use")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be revoked and write nothing")
}

func (f *pkiRevokeFlags) run(ctx context.Context, a *app, dir, which string) error {
	spec, err := storeSpec(f.spec, dir)
	if err != nil {
		return err
	}
	c, err := a.loadSpec(spec)
	if err != nil {
		return err
	}
	revocation := pki.Revocation{Which: which, Reason: f.reason, Current: f.current}
	if revocation.Certificate, err = pki.ReadLeafFile(which); err != nil {
		return failure(err, "")
	}
	store, err := a.openStore(dir, spec, c, true) // it makes no folder
	if err != nil {
		return err
	}
	defer store.Close()
	result, err := store.ApplyRevocation(ctx, c, revocation, a.now(), f.dryRun)
	if _, unfinished := errors.AsType[*pki.UnfinishedError](err); unfinished {
		return failure(err, "fix the cause, then: etcdsec pki renew "+shellword.Path(dir))
	}
	switch {
	case errors.Is(err, pki.ErrCurrentCA):
		return failure(err, fmt.Sprintf("give --current, which shuts out everything below it; then: etcdsec pki renew %s   # replaces it and everything below it", shellword.Path(dir)))
	case errors.Is(err, pki.ErrCurrent):
		return failure(err, fmt.Sprintf("etcdsec pki renew %s NAME --new-key   # then revoke; or give --current, which shuts its holder out", shellword.Path(dir)))
	case errors.Is(err, pki.ErrNoReason):
		return usageError(err, "")
	case errors.Is(err, pki.ErrNotInLedger):
		return usageError(err, "etcdsec pki status "+shellword.Path(dir)+"   # lists the names")
	case err != nil:
		return applyError(err)
	}
	return a.printResult(f.output, result)
}
