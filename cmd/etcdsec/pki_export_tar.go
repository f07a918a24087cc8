package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki/export"
)

func newPKIExportTarCommand(a *app) *cobra.Command {
	var o exportOptions
	var owner string
	cmd := &cobra.Command{
		Use:   "tar DIR OUT [MEMBER...]",
		Short: "Write a tar per node",
		Long: `Write OUT/MEMBER.tar for each member of the store DIR, or for those named: everything in
nodes/MEMBER, as it must lie on the node. Certificates and keys are in folder pki, real
files in place of the store's symlinks, configurations beside it. Keys have mode 0600,
other files 0644, folders 0700; all are root's, or --owner's. A key that was made on its
node, and so is not in the store, is not in the archive either, which is said.

Unpack with "tar -xpf", as root. Equal nodes give equal bytes: times are that of the
node's newest certificate.

Reads DIR and never changes it. Writes OUT only, which it makes with mode 0700; every file
has mode 0600.

` + onDiffer,
		Example: `  etcdsec pki export tar ./store ./nodes --dry-run
  etcdsec pki export tar ./store ./nodes etcd-0 --owner 1000:1000
  ssh root@10.0.0.11 tar -xpf - -C /etc/etcd < ./nodes/etcd-0.tar`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			user, err := parseOwner(owner)
			if err != nil {
				return usageError(err, "")
			}
			return a.export(o, given[0], given[1], func(store *export.Store, now time.Time) ([]exported, error) {
				return a.exportNodes(store, given[2:], user, now)
			})
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "`user[:group]` to own the files on the node, by number, or by name as it is here (default root)")
	o.flags(cmd)
	return cmd
}

func (a *app) exportNodes(store *export.Store, named []string, owner *durable.Owner, now time.Time) ([]exported, error) {
	for _, name := range named {
		if _, ok := store.Cluster.Member(name); !ok {
			return nil, usageError(fmt.Errorf("there is no member %q in cluster %s", name, store.Cluster.Name), "")
		}
	}
	var lines []exported
	for _, m := range store.Cluster.Etcd.Members {
		if len(named) > 0 && !slices.Contains(named, m.Name) {
			continue
		}
		node, err := store.Node(m.Name, now)
		if err != nil {
			return nil, err
		}
		data, err := node.Tar(owner)
		if err != nil {
			return nil, err
		}
		detail := fmt.Sprintf("nodes/%s", m.Name)
		if len(node.Keyless) > 0 {
			detail += ", without the keys of " + strings.Join(node.Keyless, " and ")
			a.narrate("%s: the keys of %s are not in this store, but where they were made; the archive is without them", m.Name, strings.Join(node.Keyless, " and "))
		}
		lines = append(lines, exported{name: m.Name, file: export.File{Name: m.Name + ".tar", Data: data}, detail: detail})
	}
	return lines, nil
}
