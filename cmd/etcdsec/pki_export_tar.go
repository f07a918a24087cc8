package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki/export"
)

// exportTarFlags hold the flags as the operator wrote them.
type exportTarFlags struct {
	exportFlags
	owner string
}

func newPKIExportTarCommand(a *app) *cobra.Command {
	var flags exportTarFlags
	cmd := &cobra.Command{
		Use:   "tar DIR OUT [MEMBER...]",
		Short: "Write a tar per node",
		Long: `Write OUT/MEMBER.tar for each member of the store DIR, or for the named ones: everything in
nodes/MEMBER, as the node needs it. Certificates and keys are in folder pki, as real files instead
of the store's symlinks; configurations are next to it. Keys have mode 0600, other files 0644,
folders 0700. All belong to root, or to --owner. A key that was made on its node is neither in the
store nor in the archive; a message names it.

Unpack with "tar -xpf", as root. Equal nodes give equal bytes: every file has the time of the node's
newest certificate.

Reads DIR and never changes it. Writes only OUT, which it makes with mode 0700; every file
has mode 0600.

` + existingFilesHelp,
		Example: `  etcdsec pki export tar ./store ./nodes --dry-run
  etcdsec pki export tar ./store ./nodes etcd-0 --owner 1000:1000
  ssh root@10.0.0.11 tar -xpf - -C /etc/etcd < ./nodes/etcd-0.tar`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given[0], given[1], given[2:])
		},
	}
	cmd.ValidArgsFunction = completeStoreNames
	flags.addFlags(cmd)
	return cmd
}

func (f *exportTarFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.owner, "owner", "", "`user[:group]` to own the files on the node, by number, or by name as it is here (default root)")
	f.exportFlags.addFlags(cmd)
}

func (f *exportTarFlags) run(a *app, dir, out string, members []string) error {
	owner, err := parseOwner(f.owner)
	if err != nil {
		return err
	}
	return a.export(f.exportFlags, dir, out, func(store *export.Store, now time.Time) (export.Items, error) {
		return store.Tars(members, owner, now)
	})
}
