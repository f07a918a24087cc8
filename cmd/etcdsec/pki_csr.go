package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// pkiCSRFlags hold the flags as the operator wrote them.
type pkiCSRFlags struct {
	spec, output string
	dryRun       bool
}

func newPKICSRCommand(a *app) *cobra.Command {
	var flags pkiCSRFlags
	cmd := &cobra.Command{
		Use:   "csr -f cluster.yaml NAME DIR",
		Short: "Make keys and certificate requests on a node",
		Long: `Make a private key and a certificate request (CSR) in DIR for each certificate of NAME: a
member such as etcd-0, a client such as backup, or one leaf such as etcd-0/peer. Run it on
the node that will use the keys; they never leave it. Bring the .csr files to the operator,
who signs them with "etcdsec pki sign". Then run "etcdsec pki install".

An existing key in DIR is kept, and gets a request. Give a folder other than the one that etcd
reads, so that a running member keeps its old keys until it gets the new certificates.

Reads the spec. Writes only DIR: keys with mode 0600, and requests. Uses no network.`,
		Example: `  etcdsec pki csr -f cluster.yaml etcd-0 ./new
  scp ./new/*.csr operator:etcd-0/                # the requests, never the keys`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given[0], given[1])
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiCSRFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be made and write nothing")
}

func (f *pkiCSRFlags) run(a *app, name, dir string) error {
	c, err := a.loadSpec(f.spec)
	if err != nil {
		return err
	}
	_, leaves, ok := pki.NewPlan(c).Find(name)
	if !ok {
		return usageError(fmt.Errorf("the spec has no member, client or leaf %q", name), "")
	}
	requests, err := pki.MakeRequests(dir, leaves, c.PKI.KeyAlgorithm, f.dryRun)
	if err != nil {
		return a.storeError(dir, err)
	}
	return a.printResult(f.output, pki.RequestResult{SchemaVersion: 1, Dir: dir, DryRun: f.dryRun, Requests: requests, Holder: name})
}
