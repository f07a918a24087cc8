package main

import (
	"github.com/spf13/cobra"
)

// rbacPlanFlags hold the flags as the operator wrote them.
type rbacPlanFlags struct {
	spec   string
	prefix string
	output string
}

func newRBACPlanCommand(a *app) *cobra.Command {
	var flags rbacPlanFlags
	cmd := &cobra.Command{
		Use:   "plan -f cluster.yaml",
		Short: "Print the users and roles that a cluster needs",
		Long: `Print the users and roles of etcd that a cluster needs, by the rules of its release, and what follows
from them: who compacts, which flags kube-apiserver and etcd then need, and what the release still
allows to every certificate.

Since etcd 3.5.28 and 3.6.9 only role root may compact. With spec.rbac.compaction: etcd, etcd
compacts itself and kube-apiserver gets only the permissions that it needs; with apiserver,
kube-apiserver has role root. A plan is refused if an API server could not do its work under it, if
the database would fill, or if nobody could administer etcd.

Reads the spec. Asks no server and writes only the plan.

Exit status: 0 planned, 2 bad command line, or a spec that is refused.`,
		Example: `  etcdsec rbac plan -f cluster.yaml
  etcdsec rbac plan -f cluster.yaml -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return flags.run(a) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *rbacPlanFlags) addFlags(cmd *cobra.Command) {
	specFlag(cmd, &f.spec)
	etcdPrefixFlag(cmd, &f.prefix)
	outputFlag(cmd, &f.output, "text", "json")
}

func (f *rbacPlanFlags) run(a *app) error {
	c, err := a.loadSpec(f.spec)
	if err != nil {
		return err
	}
	plan, err := planRBAC(c, f.prefix)
	if err != nil {
		return err
	}
	return a.print(f.output, plan)
}
