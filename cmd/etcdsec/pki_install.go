package main

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKIInstallCommand(a *app) *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install -f cluster.yaml NAME FOLDER TARGET",
		Short: "Install signed certificates on their node",
		Long: `Install the bundle of NAME, a member or a client, which the operator signed and which lies
in FOLDER, into TARGET, where etcd or the client reads it. Run it on the node that made
the keys. Before anything is written it checks that each certificate belongs to its key,
that it verifies below the root in FOLDER for each of its uses, that the root is the one
TARGET has, and that a member's certificate names the addresses of this very node, those
too from which it reaches the other members: they refuse it otherwise.

All files of a folder change at once, also for a container that has it mounted: they
become symlinks through "..data" to a version beside them, and the version before is kept.
etcd reads them at the next handshake; nothing has to be restarted.

Reads FOLDER, the keys and the spec. Writes TARGET only. It asks the kernel for routes and
sends nothing.`,
		Example: `  etcdsec pki install -f cluster.yaml etcd-0 ./signed /etc/etcd/pki --keys ./new --dry-run
  etcdsec pki install -f cluster.yaml etcd-0 ./signed /etc/etcd/pki --keys ./new
  etcdsec pki install -f cluster.yaml etcd-0 ./signed /etc/etcd/pki   # renewed, same keys`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.install(o, given[0], given[1], given[2])
		},
	}
	specFlag(cmd, &o.spec)
	outputFlag(cmd, &o.output, "text", "json")
	cmd.Flags().StringVar(&o.keys, "keys", "", "`folder` of the keys that \"pki csr\" made (default: TARGET's own)")
	cmd.Flags().StringVar(&o.owner, "owner", "", "`user[:group]` to own the files, by name or number (default: TARGET's owner)")
	cmd.Flags().BoolVar(&o.newTrust, "new-trust", false, "replace TARGET's roots where they differ; what reads them must be restarted")
	cmd.Flags().BoolVar(&o.anyNode, "any-node", false, "do not compare the names with this machine's addresses")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "check everything and write nothing")
	return cmd
}

type installOptions struct {
	spec, output, keys, owner string
	newTrust, anyNode, dryRun bool
}

type installResult struct {
	SchemaVersion int      `json:"schema_version"`
	Target        string   `json:"target"`
	DryRun        bool     `json:"dry_run"`
	Changed       bool     `json:"changed"`
	Files         []string `json:"files"`
}

func (a *app) install(o installOptions, name, folder, target string) error {
	c, err := a.loadSpec(o.spec)
	if err != nil {
		return err
	}
	bundle, leaves, ok := pki.NewPlan(c).Find(name)
	if !ok {
		return usageError(fmt.Errorf("the spec has no member or client %q", name), "")
	}
	bundle.Leaves = leaves
	config := pki.InstallConfig{Signed: folder, Keys: o.keys, Target: target, Now: a.now(), NewTrust: o.newTrust}
	if config.Owner, err = parseOwner(o.owner); err != nil {
		return usageError(err, "")
	}
	if !o.anyNode {
		if config.Own, config.Sources, err = nodeAddresses(c, name); err != nil {
			return failure(err, "")
		}
	}
	planned, err := pki.PlanInstall(bundle, config)
	if err != nil {
		return failure(err, "nothing was changed in "+target)
	}
	if !o.dryRun && !planned.Same {
		if err := planned.Install(); err != nil {
			return failure(err, goesOn)
		}
	}
	result := installResult{SchemaVersion: 1, Target: target, DryRun: o.dryRun, Changed: !planned.Same, Files: []string{}}
	for _, f := range planned.Files {
		result.Files = append(result.Files, f.Name)
	}
	if o.output == "json" {
		return a.printJSON(result)
	}
	for _, f := range result.Files {
		_, _ = fmt.Fprintln(a.stdout, filepath.Join(target, filepath.FromSlash(f))) // the writer remembers its error
	}
	switch {
	case planned.Same:
		a.narrate("%s has all this already", target)
	case o.dryRun:
		a.narrate("dry run: all of it is sound; would install %d files in %s", len(result.Files), target)
	case o.newTrust:
		a.narrate("installed %d files in %s; restart what reads its roots", len(result.Files), target)
	default:
		a.narrate("installed %d files in %s; nothing has to be restarted", len(result.Files), target)
	}
	return nil
}

// nodeAddresses are this machine's addresses, and those from which it reaches the other
// members. The kernel picks a source when a UDP socket is connected, which sends nothing.
func nodeAddresses(c *cluster.Cluster, name string) (own, sources []netip.Addr, err error) {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, fmt.Errorf("reading this node's addresses: %w", err)
	}
	for _, i := range interfaces {
		if prefix, err := netip.ParsePrefix(i.String()); err == nil {
			own = append(own, prefix.Addr().Unmap().WithZone(""))
		}
	}
	for _, m := range c.Etcd.Members {
		to := m.Advertised().IP
		if m.Name == name || !to.IsValid() || to.IsLoopback() {
			continue
		}
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, c.Etcd.PeerPort)))
		if err != nil {
			continue // no route to it now: nothing can be told
		}
		if local, ok := conn.LocalAddr().(*net.UDPAddr); ok {
			if from := local.AddrPort().Addr().Unmap().WithZone(""); !slices.Contains(sources, from) {
				sources = append(sources, from)
			}
		}
		_ = conn.Close() // nothing was sent
	}
	return own, sources, nil
}
