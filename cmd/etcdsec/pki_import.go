package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

// pkiImportFlags hold the flags as the operator wrote them.
type pkiImportFlags struct {
	spec, output, name, version string
	dryRun                      bool
}

func newPKIImportCommand(a *app) *cobra.Command {
	var flags pkiImportFlags
	cmd := &cobra.Command{
		Use:   "import DIR MEMBER=FOLDER...",
		Short: "Adopt a PKI that kubeadm, k3s or kOps made",
		Long: `Adopt the etcd PKI of a running cluster. Give each member's name and a copy of its folder:
kubeadm's /etc/kubernetes/pki, k3s' or RKE2's server/tls/etcd, or the folder of etcd-manager with
clients/ and peers/. The certificates give a spec, and a store in DIR that keeps the names of the
files. From then on renew, revoke and verify work on it. Weak spots of the PKI are listed. For other
file names, give a spec with layout: custom and -f.

The spec has every name of the certificates and the CN of each client. What it does not have is noted,
and renewals keep it, until one with --forget-import.

If a FOLDER has the key of the CA, the key is copied into the store. Without that key, everything
works except signing. If a trusted CA file has several CAs, the one whose key is there signs, or else
the one that signed the server's certificate; the others stay trusted.

Reads the folders and changes nothing in them. Writes only DIR. Uses no network.`,
		Example: `  etcdsec pki import ./store cp-0=./cp-0/pki cp-1=./cp-1/pki cp-2=./cp-2/pki \
    --name prod-eu1 --etcd-version 3.6.16 --dry-run
  etcdsec pki import ./store cp-0=/etc/kubernetes/pki --name prod-eu1 --etcd-version 3.6.16
  etcdsec pki import ./store -f cluster.yaml etcd-0=./certs`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given[0], given[1:])
		},
	}
	cmd.AddCommand(newPKIImportAuthorityCommand(a))
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiImportFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	outputFlag(cmd, &f.output, "text", "json")
	cmd.Flags().StringVar(&f.name, "name", "", "`name` of the cluster in the new spec")
	cmd.Flags().StringVar(&f.version, "etcd-version", "", "`release` of etcd that the members run, such as 3.6.16")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the spec and the weak spots, and write nothing")
}

func (f *pkiImportFlags) run(a *app, dir string, arguments []string) error {
	var c *cluster.Cluster
	if f.spec != "" {
		if f.name+f.version != "" {
			return usageError(errors.New("--name and --etcd-version have no effect with -f: the spec has both"), "")
		}
		var err error
		if c, err = a.loadSpec(f.spec); err != nil {
			return err
		}
	} else if f.name == "" || f.version == "" {
		return usageError(errors.New("--name and --etcd-version are missing: certificates do not contain them"), "--name prod-eu1 --etcd-version 3.6.16   # or a whole spec: -f cluster.yaml")
	}
	folders, err := pki.ParseMemberFolders(arguments, c)
	if err != nil {
		return usageError(err, "")
	}
	found, err := pki.ReadForeignCluster(c, pki.SpecConfig{Name: f.name, Version: f.version}, folders)
	if err != nil {
		return failure(err, "nothing was written")
	}
	for _, note := range found.Notes {
		a.narrate("note: %s", note)
	}
	result, err := found.AdoptInto(dir, a.now(), f.dryRun)
	if err != nil {
		return a.adoptError(dir, err)
	}
	return a.printResult(f.output, result)
}

// adoptError adds a hint to the error of copying something into a store.
func (a *app) adoptError(dir string, err error) error {
	_, unfinished := errors.AsType[*pki.UnfinishedError](err)
	_, disagree := errors.AsType[*pki.DisagreementError](err)
	switch {
	case disagree:
		return applyError(err)
	case unfinished:
		return failure(err, resumeHint)
	case errors.Is(err, durable.ErrLocked) || errors.Is(err, pki.ErrForeignStore):
		return a.storeError(dir, err)
	}
	return failure(err, "nothing was written")
}
