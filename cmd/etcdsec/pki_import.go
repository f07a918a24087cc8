package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

// pkiImportFlags are what the operator wrote.
type pkiImportFlags struct {
	spec, output, name, version string
	dryRun                      bool
}

// importResult is the result in JSON.
type importResult struct {
	SchemaVersion int           `json:"schema_version"`
	Dir           string        `json:"dir"`
	Cluster       string        `json:"cluster"`
	Layout        string        `json:"layout"`
	DryRun        bool          `json:"dry_run"`
	Spec          string        `json:"spec"`
	Trust         []pki.Trust   `json:"trust"`
	Weak          []pki.Finding `json:"weak"`
}

func newPKIImportCommand(a *app) *cobra.Command {
	var flags pkiImportFlags
	cmd := &cobra.Command{
		Use:   "import DIR MEMBER=FOLDER...",
		Short: "Adopt a PKI that kubeadm, k3s or kOps made",
		Long: `Adopt the etcd PKI of a running cluster: give each member's name and a copy of its folder,
kubeadm's /etc/kubernetes/pki, k3s' or RKE2's server/tls/etcd, or the folder of
etcd-manager with clients/ and peers/. From the certificates a spec is written, and a store
in DIR with the files under the names that they have, so that renew, revoke and verify
work on it from then on. What is weak in it is listed. For a PKI under other names give a
spec with layout: custom and -f.

A renewal with the key of the CA needs that key: where it lies in a FOLDER it is taken into
the store, and where it does not, everything but signing works without.

Reads the folders and changes nothing in them. Writes DIR only. Uses no network.`,
		Example: `  etcdsec pki import ./store cp-0=./cp-0/pki cp-1=./cp-1/pki cp-2=./cp-2/pki --name prod-eu1 --etcd-version 3.6.16 --dry-run
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
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the spec and what is weak, and write nothing")
}

func (f *pkiImportFlags) run(a *app, dir string, arguments []string) error {
	var c *cluster.Cluster
	if f.spec != "" {
		var err error
		if c, err = a.loadSpec(f.spec); err != nil {
			return err
		}
	} else if f.name == "" || f.version == "" {
		return usageError(errors.New("--name and --etcd-version are missing: the certificates do not say them"), "or -f cluster.yaml, a spec that says all")
	}
	folders, err := parseMemberFolders(arguments, c)
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
	c = found.Cluster
	adoption, err := pki.AdoptForeign(c, pki.NewPlan(c), found.Members)
	if err != nil {
		return failure(err, "")
	}
	if err := a.adopt(dir, c, adoption, f.dryRun); err != nil {
		return err
	}
	return f.print(a, len(found.Members), importResult{
		SchemaVersion: 1, Dir: dir, Cluster: c.Name, Layout: string(c.PKI.Layout), DryRun: f.dryRun, Spec: string(c.YAML),
		Trust: pki.TrustGraph(found.Members), Weak: pki.Weaknesses(dir, found.Members, a.now()),
	})
}

func (f *pkiImportFlags) print(a *app, members int, r importResult) error {
	if f.output == "json" {
		return a.printJSON(r)
	}
	for _, t := range r.Trust {
		_, _ = fmt.Fprintf(a.stdout, "%s port  trusts %q, which lets in %s\n", t.Port, t.CA, strings.Join(t.LetsIn, ", ")) // the writer remembers its error
	}
	if r.DryRun {
		_, _ = fmt.Fprintf(a.stdout, "\n%s\n", r.Spec)
	}
	for _, weak := range r.Weak {
		a.printFinding(weak.Path+": ", weak)
	}
	if r.DryRun {
		a.narrate("dry run: would adopt %d members' PKI in %s; %d weaknesses", members, r.Dir, len(r.Weak))
		return nil
	}
	a.narrate("adopted the PKI of %d members, layout %s, in %s; read %s, then: etcdsec pki verify %s", members, r.Layout, r.Dir, filepath.Join(r.Dir, pki.SpecName), r.Dir)
	return nil
}

// parseMemberFolders reads MEMBER=FOLDER arguments; c, if not nil, knows the members.
func parseMemberFolders(arguments []string, c *cluster.Cluster) ([]pki.MemberFolder, error) {
	var folders []pki.MemberFolder
	for _, argument := range arguments {
		name, folder, ok := strings.Cut(argument, "=")
		if !ok || name == "" || folder == "" {
			return nil, fmt.Errorf("%q: want MEMBER=FOLDER", argument)
		}
		if c != nil {
			if _, known := c.Member(name); !known {
				return nil, fmt.Errorf("the spec has no member %q", name)
			}
		}
		folders = append(folders, pki.MemberFolder{Member: name, Dir: folder})
	}
	return folders, nil
}

// adopt brings what was read into the store in dir.
func (a *app) adopt(dir string, c *cluster.Cluster, adoption pki.Adoption, dryRun bool) error {
	err := pki.AdoptInto(dir, c, adoption, a.now(), dryRun)
	_, unfinished := errors.AsType[*pki.UnfinishedError](err)
	switch {
	case err == nil:
		return nil
	case unfinished:
		return failure(err, goesOn)
	case errors.Is(err, durable.ErrLocked) || errors.Is(err, pki.ErrForeignStore):
		return a.storeError(dir, err)
	}
	return failure(err, "nothing was written")
}
