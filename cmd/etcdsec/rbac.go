package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

func newRBACCommand(a *app) *cobra.Command {
	return newGroupCommand("rbac", "Give each client of etcd the least it needs",
		`Plan, apply and prove the users and roles of etcd: one user for each client of the spec, known
by the CN of its certificate and without a password, with the permissions that its role takes by
the rules of the cluster's release of etcd. Who holds the certificate of a health check can then
no longer read Secrets, nor who takes over an API server remove members.`,
		newRBACPlanCommand(a),
		newRBACApplyCommand(a),
		newRBACVerifyCommand(a),
		newRBACDisableCommand(a),
	)
}

// rbacFlags are what the verbs that ask a cluster have in common.
type rbacFlags struct {
	spec      string
	prefix    string
	endpoints []string
	caPath    string
	certPath  string
	keyPath   string
	present   []string
	timeout   time.Duration
	output    string
}

func etcdPrefixFlag(cmd *cobra.Command, prefix *string) {
	cmd.Flags().StringVar(prefix, "etcd-prefix", rbac.DefaultPrefix, "kube-apiserver's --etcd-prefix, as `prefix` of its keys")
}

func (flags *rbacFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	specFlag(cmd, &flags.spec)
	etcdPrefixFlag(cmd, &flags.prefix)
	f.StringSliceVar(&flags.endpoints, "endpoints", nil, "`host:port` of the client port of every member (default the spec's)")
	f.StringVar(&flags.caPath, "cacert", "", "PEM `file` of the CAs that signed the servers' certificates (default DIR's)")
	f.StringVar(&flags.certPath, "cert", "", "PEM `file` of an administrator's certificate (default that of DIR's first client of role root)")
	f.StringVar(&flags.keyPath, "key", "", "PEM `file` of its private key")
	f.DurationVar(&flags.timeout, "timeout", rbac.DefaultTimeout, "`time` for one request")
	outputFlag(cmd, &flags.output, "text", "json")
}

func (flags *rbacFlags) addClientFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&flags.present, "present", nil, "`CERT,KEY` of a client to try beside those of DIR; may be repeated")
}

// rbacRun is what a verb works with.
type rbacRun struct {
	dir      string
	specPath string
	plan     rbac.Plan
	live     *rbac.Live
	clients  []rbac.Client
	spec     *cluster.Cluster
}

// rbacPlan is the plan of a spec; a refused one is a bad spec.
func (a *app) rbacPlan(spec, prefix string) (rbac.Plan, *cluster.Cluster, error) {
	c, err := a.loadSpec(spec)
	if err != nil {
		return rbac.Plan{}, nil, err
	}
	if !strings.HasPrefix(prefix, "/") || strings.Trim(prefix, "/") == "" {
		return rbac.Plan{}, nil, usageError(fmt.Errorf("--etcd-prefix %q: want the beginning of kube-apiserver's keys", prefix), "--etcd-prefix "+rbac.DefaultPrefix)
	}
	plan, err := rbac.NewPlan(c, c.Etcd.Version, prefix)
	if err != nil {
		return plan, c, usageError(fmt.Errorf("planning RBAC: %w", err), "")
	}
	return plan, c, nil
}

// rbacRunOf loads all that a verb needs before a member is asked. The way out is open with a plan
// that is refused, too.
func (a *app) rbacRunOf(flags rbacFlags, dir string, wayOut bool) (rbacRun, error) {
	r := rbacRun{dir: dir}
	var err error
	if flags.timeout <= 0 {
		return r, usageError(fmt.Errorf("--timeout %s: want a time above 0, such as 10s", flags.timeout), "")
	}
	if r.specPath, err = storeSpec(flags.spec, dir); err != nil {
		return r, err
	}
	if r.plan, r.spec, err = a.rbacPlan(r.specPath, flags.prefix); err != nil && (!wayOut || r.spec == nil) {
		return r, err
	}
	endpoints, err := rbacEndpoints(flags.endpoints, r.spec)
	if err != nil {
		return r, usageError(err, "--endpoints 10.0.0.11:2379,10.0.0.12:2379")
	}
	store, err := a.storeClients(dir, r.spec, wayOut)
	if err != nil {
		return r, err
	}
	if r.clients, err = a.presented(flags.present, store); err != nil {
		return r, err
	}
	r.live = &rbac.Live{Endpoints: endpoints, Timeout: flags.timeout, Narrate: a.narrate}
	return r, a.rbacAdministrator(flags, r, store)
}

// rbacEndpoints are every member's client port.
func rbacEndpoints(written []string, c *cluster.Cluster) ([]string, error) {
	var endpoints []string
	for _, w := range written {
		host := strings.TrimSuffix(strings.TrimPrefix(w, "https://"), "/")
		u, err := url.Parse("https://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" || u.Port() == "" || strings.HasPrefix(w, "http://") {
			return nil, fmt.Errorf("--endpoints %q: want host:port of a client port, which speaks TLS", w)
		}
		endpoints = append(endpoints, host)
	}
	if len(endpoints) > 0 {
		return endpoints, nil
	}
	for _, m := range c.Etcd.Members {
		endpoints = append(endpoints, net.JoinHostPort(m.Advertised().String(), strconv.Itoa(int(c.Etcd.ClientPort))))
	}
	return endpoints, nil
}

// state asks the cluster, and refuses one to which the plan does not apply.
func (r rbacRun) state(ctx context.Context) (rbac.State, error) {
	state, err := r.live.State(ctx)
	if err != nil {
		return state, failure(err, "")
	}
	if err := r.plan.CheckVersions(state.Members); err != nil {
		return state, failure(err, "set spec.etcd.version to what all members run, or end the upgrade first")
	}
	return state, nil
}

// changeTexts are for people and for JSON.
func changeTexts(changes []rbac.Change) []string {
	texts := []string{}
	for _, c := range changes {
		texts = append(texts, c.Text)
	}
	return texts
}

// writeList writes a heading and its lines, or nothing where there are none.
func writeList(w io.Writer, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	_, _ = fmt.Fprintf(w, "%s\n", heading) // the writer remembers its error
	for _, line := range lines {
		_, _ = fmt.Fprintf(w, "  %s\n", line)
	}
}

// errUnverified is the end of a run whose checks could not be made.
var errUnverified = errors.New("not every check could be made")
