package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

func newRBACApplyCommand(a *app) *cobra.Command {
	var flags rbacFlags
	var also []string
	var observe time.Duration
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply [-f cluster.yaml] DIR",
		Short: "Make the users and roles, enable RBAC, and try every certificate",
		Long: `Make the users and roles of etcd that the plan says, enable RBAC, and present the certificate of
every client to every member: what the plan allows must be let through, and what it does not must
be refused. If one is not, RBAC is disabled again.

Before anything is changed
- every member is asked for its release, and must follow the rules that the plan was made for;
- the CN of every client's certificate in DIR, and of those of --present and --also, must be a user;
- with spec.rbac.compaction: etcd it is observed for --observe who compacts: etcd must, and no API
  server may (one whose interval is longer than that is not seen). 0 skips it: you know.

Users and roles that the plan does not name are left and named. Users and roles of the plan lose
what the plan does not give. Run again it changes what differs and tries the certificates again;
killed at any moment, even between the enabling and the last certificate, it is finished by the next
run. What every request may do is tried with requests that change nothing in the store.

Reads the spec, of DIR unless -f is given, the certificates and keys of the clients in DIR, and asks
etcd with that of the first client of role root. Writes users, roles and whether RBAC is enabled to
etcd. It never writes a key of Kubernetes, and nothing to DIR, which it holds while it does.

Exit status: 0 enabled and proven, 1 it could not be, and is disabled if this run had enabled it,
2 bad command line, or a spec that is refused.`,
		Example: `  etcdsec rbac apply ./store --dry-run
  etcdsec rbac apply ./store
  etcdsec rbac apply ./store --also /etc/kubernetes/pki/apiserver-etcd-client.crt
  etcdsec rbac apply ./store --observe 0
  etcdsec rbac apply -f cluster.yaml ./store --endpoints 10.0.0.11:2379 -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if observe < 0 {
				return usageError(fmt.Errorf("--observe %s: want a time, or 0", observe), "")
			}
			r, err := a.rbacRunOf(flags, given[0], false)
			if err != nil {
				return err
			}
			if err := checkRBACClients(r, also); err != nil {
				return err
			}
			if dryRun {
				observe = 0
			}
			return a.applyRBAC(cmd.Context(), r, flags.output, observe, dryRun)
		},
	}
	flags.addFlags(cmd)
	flags.addClientFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&also, "also", nil, "`CERT` that is in use as well, whose CN must be a user; may be repeated")
	f.DurationVar(&observe, "observe", rbac.DefaultObservation, "`time` to observe who compacts; 0 only where you know")
	f.BoolVar(&dryRun, "dry-run", false, "print what would be done and change nothing")
	return cmd
}

// rbacReport is the JSON of apply and verify. Fields are only ever added.
type rbacReport struct {
	SchemaVersion int           `json:"schema_version"`
	Cluster       string        `json:"cluster"`
	Members       []rbac.Member `json:"members"`
	Enabled       bool          `json:"enabled"`
	Changes       []string      `json:"changes"` // that bring the cluster to the plan
	Extra         []string      `json:"extra"`   // what the plan does not name
	Checks        []rbac.Check  `json:"checks"`
}

func (a *app) applyRBAC(ctx context.Context, r rbacRun, format string, observe time.Duration, dryRun bool) error {
	state, err := r.state(ctx)
	if err != nil {
		return err
	}
	if dryRun {
		return a.printRBACReport(r.planned(state), format)
	}
	if observe > 0 && takesCompaction(r, state) {
		a.narrate("observing for %s who compacts, before anything is changed; --observe 0 where you know", observe)
		if err := r.live.ObserveCompaction(ctx, observe); err != nil {
			return failure(err, "etcdsec rbac plan -f "+r.specPath+"   # which flags it takes")
		}
	}
	// The certificates must not be renewed while they are tried, nor two runs undo each other.
	release, err := durable.Lock(r.dir)
	if err != nil {
		return a.storeError(r.dir, err)
	}
	defer release()
	if state, err = r.state(ctx); err != nil { // it may have changed meanwhile
		return err
	}
	report := r.planned(state)
	outcome, err := r.live.Apply(ctx, r.plan, state, r.clients)
	report.Checks = append(report.Checks, outcome.Checks...)
	if err != nil {
		return failure(err, "etcdsec rbac apply "+r.dir+" --dry-run   # what is still to do")
	}
	report.Enabled = true
	return a.printRBACReport(report, format)
}

// planned is what apply would do to a state.
func (r rbacRun) planned(state rbac.State) rbacReport {
	changes := changeTexts(r.plan.Changes(state))
	if !state.Enabled {
		changes = append(changes, "enable RBAC")
	}
	return rbacReport{
		SchemaVersion: 1, Cluster: r.plan.Cluster, Members: state.Members, Enabled: state.Enabled,
		Changes: changes, Extra: r.plan.Extra(state), Checks: []rbac.Check{},
	}
}

// takesCompaction says whether API servers that compact would be kept from it by this run.
func takesCompaction(r rbacRun, state rbac.State) bool {
	if r.plan.Compaction != cluster.CompactionByEtcd {
		return false
	}
	return !state.Enabled || slices.ContainsFunc(state.Users, func(u rbac.User) bool {
		planned, ok := r.plan.User(u.Name)
		return ok && planned.Client == cluster.RoleKubernetes && slices.Contains(u.Roles, rbac.RootRole)
	})
}

func (a *app) printRBACReport(r rbacReport, format string) error {
	if format == "json" {
		return a.printJSON(r)
	}
	for _, m := range r.Members {
		_, _ = fmt.Fprintf(a.stdout, "%s runs etcd %s\n", m.Endpoint, m.Release) // stdout remembers its error
	}
	writeList(a.stdout, "changes:", r.Changes)
	writeList(a.stdout, "not of the plan, and left as it is (etcdctl user delete NAME, etcdctl role delete NAME):", r.Extra)
	var wrong []string
	for _, c := range r.Checks {
		if c.OK() {
			continue
		}
		line := fmt.Sprintf("%s at %s: %s was %s, and the plan says %s", c.Client, c.Endpoint, c.Request, c.Measured, c.Planned)
		if c.Reason != "" {
			line += ": " + c.Reason
		}
		wrong = append(wrong, line)
	}
	writeList(a.stdout, "not as planned:", wrong)
	state := "disabled"
	if r.Enabled {
		state = "enabled"
	}
	if len(r.Checks) > 0 {
		_, err := fmt.Fprintf(a.stdout, "RBAC is %s; %d of %d checks went as planned\n", state, len(r.Checks)-len(wrong), len(r.Checks))
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "RBAC is %s\n", state)
	return err
}
