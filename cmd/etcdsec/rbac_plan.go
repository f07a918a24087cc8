package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/policies/rbac"
)

func newRBACPlanCommand(a *app) *cobra.Command {
	var spec, prefix, output string
	cmd := &cobra.Command{
		Use:   "plan -f cluster.yaml",
		Short: "Print the users and roles that a cluster takes",
		Long: `Print the users and roles of etcd that a cluster takes, by the rules of its release, and what
follows from them: who compacts, which flags kube-apiserver and etcd then need, and what the
release leaves open to every certificate.

Since etcd 3.5.28 and 3.6.9 only role root may compact. With spec.rbac.compaction: etcd, etcd
compacts itself and kube-apiserver has the least that it needs; with apiserver, kube-apiserver has
role root. A plan under which an API server could not do what it does, the database would fill, or
nobody could administer etcd is refused.

Reads the spec. Asks no server and writes nothing but the plan.

Exit status: 0 planned, 2 bad command line, or a spec that is refused.`,
		Example: `  etcdsec rbac plan -f cluster.yaml
  etcdsec rbac plan -f cluster.yaml -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			plan, _, err := a.rbacPlan(spec, prefix)
			if err != nil {
				return err
			}
			return a.printRBACPlan(plan, output)
		},
	}
	specFlag(cmd, &spec)
	etcdPrefixFlag(cmd, &prefix)
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (a *app) printRBACPlan(p rbac.Plan, format string) error {
	if format == "json" {
		return a.printJSON(struct {
			SchemaVersion int `json:"schema_version"`
			rbac.Plan
		}{1, p})
	}
	_, _ = fmt.Fprintf(a.stdout, "etcd RBAC of %s, by the rules of etcd %s\n\n", p.Cluster, p.Version) // Flush gives the error
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "USER\tROLE\tMAY")
	for _, user := range p.Users {
		if len(user.Roles) == 0 {
			_, _ = fmt.Fprintf(table, "%s\t-\tnothing\n", user.Name)
		}
		for _, name := range user.Roles {
			role, _ := p.Role(name)
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", user.Name, name, powers(role))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.stdout)
	for _, c := range p.Consequences {
		_, err = fmt.Fprintf(a.stdout, "- %s\n", c)
	}
	return err
}

func powers(role rbac.Role) string {
	if role.Name == rbac.RootRole {
		return "everything"
	}
	var all []string
	for _, p := range role.Permissions {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}
