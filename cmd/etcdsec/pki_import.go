package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKIImportCommand(a *app) *cobra.Command {
	var o importOptions
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
			return a.importPKI(o, given[0], given[1:])
		},
	}
	cmd.AddCommand(newPKIImportAuthorityCommand(a))
	specFlag(cmd, &o.spec)
	outputFlag(cmd, &o.output, "text", "json")
	cmd.Flags().StringVar(&o.name, "name", "", "`name` of the cluster in the new spec")
	cmd.Flags().StringVar(&o.version, "etcd-version", "", "`release` of etcd that the members run, such as 3.6.16")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the spec and what is weak, and write nothing")
	return cmd
}

type importOptions struct {
	spec, output, name, version string
	dryRun                      bool
}

type importResult struct {
	SchemaVersion int           `json:"schema_version"`
	Dir           string        `json:"dir"`
	Cluster       string        `json:"cluster"`
	Layout        string        `json:"layout"`
	DryRun        bool          `json:"dry_run"`
	Spec          string        `json:"spec"`
	Trust         []trust       `json:"trust"`
	Weak          []pki.Finding `json:"weak"`
}

// trust is what one port of the members trusts.
type trust struct {
	Port   string   `json:"port"` // client or peer
	CA     string   `json:"ca"`
	LetsIn []string `json:"lets_in"` // certificates that the port accepts from a caller
}

func (a *app) importPKI(o importOptions, dir string, folders []string) error {
	c, members, err := a.readForeign(o, folders)
	if err != nil {
		return err
	}
	plan := pki.NewPlan(c)
	adoption, err := pki.AdoptForeign(c, plan, members)
	if err != nil {
		return failure(err, "")
	}
	if err := a.adopt(dir, c, plan, adoption, o.dryRun); err != nil {
		return err
	}
	result := importResult{SchemaVersion: 1, Dir: dir, Cluster: c.Name, Layout: string(c.PKI.Layout), DryRun: o.dryRun, Spec: string(c.YAML), Weak: pki.Weaknesses(dir, members, a.now())}
	for _, t := range pki.TrustGraph(members) {
		result.Trust = append(result.Trust, trust(t))
	}
	if o.output == "json" {
		return a.printJSON(result)
	}
	for _, t := range result.Trust {
		_, _ = fmt.Fprintf(a.stdout, "%s port  trusts %q, which lets in %s\n", t.Port, t.CA, strings.Join(t.LetsIn, ", ")) // the writer remembers its error
	}
	if o.dryRun {
		_, _ = fmt.Fprintf(a.stdout, "\n%s\n", result.Spec)
	}
	for _, f := range result.Weak {
		a.printFinding(f.Path+": ", f)
	}
	if o.dryRun {
		a.narrate("dry run: would adopt %d members' PKI in %s; %d weaknesses", len(members), dir, len(result.Weak))
		return nil
	}
	a.narrate("adopted the PKI of %d members, layout %s, in %s; read %s, then: etcdsec pki verify %s", len(members), c.PKI.Layout, dir, filepath.Join(dir, pki.SpecName), dir)
	return nil
}

// adopt checks everything before it makes a folder.
func (a *app) adopt(dir string, c *cluster.Cluster, plan pki.Plan, adoption pki.Adoption, dryRun bool) error {
	peeked, err := pki.PeekStore(dir, c)
	if err != nil {
		return a.storeError(dir, err)
	}
	err = peeked.CheckAdoption(plan, adoption, a.now())
	peeked.Close()
	if err != nil {
		return failure(err, "nothing was written")
	}
	if dryRun {
		return nil
	}
	store, err := pki.OpenStore(dir, c)
	if err != nil {
		return a.storeError(dir, err)
	}
	defer store.Close()
	if err := store.Adopt(plan, c.YAML, adoption, a.now()); err != nil {
		return failure(err, goesOn)
	}
	return nil
}

// readForeign reads the folders, and writes their spec where none is given.
func (a *app) readForeign(o importOptions, folders []string) (*cluster.Cluster, []*pki.Foreign, error) {
	var c *cluster.Cluster
	if o.spec != "" {
		var err error
		if c, err = a.loadSpec(o.spec); err != nil {
			return nil, nil, err
		}
	} else if o.name == "" || o.version == "" {
		return nil, nil, usageError(errors.New("--name and --etcd-version are missing: the certificates do not say them"), "or -f cluster.yaml, a spec that says all")
	}
	var layout cluster.Layout
	var members []*pki.Foreign
	for _, argument := range folders {
		name, folder, ok := strings.Cut(argument, "=")
		if !ok || name == "" || folder == "" {
			return nil, nil, usageError(fmt.Errorf("%q: want MEMBER=FOLDER", argument), "")
		}
		files, err := filesOf(c, &layout, name, folder)
		if err != nil {
			return nil, nil, err
		}
		p, err := pki.ReadForeign(name, folder, files)
		if err != nil {
			return nil, nil, failure(err, "nothing was written")
		}
		members = append(members, p)
	}
	if c != nil {
		return c, members, nil
	}
	yaml, notes := pki.ForeignSpec(pki.SpecConfig{Name: o.name, Version: o.version, Layout: layout}, members)
	for _, note := range notes {
		a.narrate("note: %s", note)
	}
	c, err := cluster.Read("the spec made of it", strings.NewReader(string(yaml)))
	if err != nil {
		return nil, nil, failure(err, "write a spec by hand, and give it with -f")
	}
	return c, members, nil
}

// filesOf are the names in a member's folder: the spec's, or those of the tool that made
// it, which must be one for all members.
func filesOf(c *cluster.Cluster, layout *cluster.Layout, member, folder string) (cluster.Files, error) {
	if c != nil {
		m, ok := c.Member(member)
		if !ok {
			return cluster.Files{}, usageError(fmt.Errorf("the spec has no member %q", member), "")
		}
		return c.Files(m), nil
	}
	found, err := pki.DetectLayout(folder)
	switch {
	case err != nil:
		return cluster.Files{}, failure(err, "")
	case *layout != "" && found != *layout:
		return cluster.Files{}, failure(fmt.Errorf("%s is of %s, the folders before it of %s", folder, found, *layout), "")
	}
	*layout = found
	return cluster.FilesOf(found), nil
}
