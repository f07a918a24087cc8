package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/clientcert"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

func newRBACCommand(a *app) *cobra.Command {
	return newGroupCommand("rbac", "Give each client of etcd the least it needs",
		`Plan, apply and prove the users and roles of etcd: one user for each client of the spec. etcd
knows a user by the CN of its certificate; no user has a password. Each user gets the permissions
that its role needs by the rules of the cluster's release of etcd. Then the certificate of a health
check no longer reads Secrets, and that of an API server no longer removes members.`,
		newRBACPlanCommand(a),
		newRBACApplyCommand(a),
		newRBACVerifyCommand(a),
		newRBACDisableCommand(a),
	)
}

// rbacFlags hold the flags that are common to all verbs that connect to a cluster.
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

func (f *rbacFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	specFlag(cmd, &f.spec)
	etcdPrefixFlag(cmd, &f.prefix)
	flags.StringSliceVar(&f.endpoints, "endpoints", nil, "`host:port` of the client port of every member (default the spec's)")
	flags.StringVar(&f.caPath, "cacert", "", "PEM `file` of the CAs that signed the servers' certificates (default DIR's)")
	flags.StringVar(&f.certPath, "cert", "", "PEM `file` of an administrator's certificate (default that of DIR's first client of role root)")
	flags.StringVar(&f.keyPath, "key", "", "PEM `file` of its private key")
	flags.DurationVar(&f.timeout, "timeout", rbac.DefaultTimeout, "`time` for one request")
	outputFlag(cmd, &f.output, "text", "json")
}

func (f *rbacFlags) addPresentFlag(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.present, "present", nil, "`CERT,KEY` of another client to try; may be repeated")
}

func etcdPrefixFlag(cmd *cobra.Command, prefix *string) {
	cmd.Flags().StringVar(prefix, "etcd-prefix", rbac.DefaultPrefix, "kube-apiserver's --etcd-prefix, as `prefix` of its keys")
}

// rbacTarget is a cluster with its plan and the certificates to try.
type rbacTarget struct {
	dir     string
	spec    string // its path
	plan    rbac.Plan
	live    *rbac.Live
	clients []rbac.Client
}

// load reads everything that a verb needs before it connects to a member.
func (f *rbacFlags) load(a *app, dir string) (rbacTarget, error) {
	return f.loadTarget(a, dir, false)
}

// loadForDisable is load for the verb that disables RBAC. It must also work if the plan is refused,
// or if clients have no usable certificate.
func (f *rbacFlags) loadForDisable(a *app, dir string) (rbacTarget, error) {
	return f.loadTarget(a, dir, true)
}

func (f *rbacFlags) loadTarget(a *app, dir string, tolerant bool) (rbacTarget, error) {
	t := rbacTarget{dir: dir}
	switch {
	case f.timeout <= 0:
		return t, usageError(fmt.Errorf("--timeout %s: want a time above 0, such as 10s", f.timeout), "")
	case (f.certPath == "") != (f.keyPath == ""):
		return t, usageError(errors.New("--cert and --key go together"), "--cert client.crt --key client.key")
	}
	var err error
	if t.spec, err = storeSpec(f.spec, dir); err != nil {
		return t, err
	}
	c, err := a.loadSpec(t.spec)
	if err != nil {
		return t, err
	}
	if t.plan, err = planRBAC(c, f.prefix); err != nil && !tolerant {
		return t, err
	}
	endpoints, err := rbac.Endpoints(f.endpoints, c)
	if err != nil {
		return t, usageError(fmt.Errorf("--endpoints: %w", err), "--endpoints 10.0.0.11:2379,10.0.0.12:2379")
	}
	if t.clients, err = rbac.StoreClients(dir, c, a.now()); err != nil && !tolerant {
		return t, clientError(err)
	}
	t.live = &rbac.Live{Endpoints: endpoints, Timeout: f.timeout, Narrate: a.narrate}
	if err := f.loadAdministrator(a, t); err != nil {
		return t, err
	}
	presented, err := rbac.LoadClients(a.files, f.present, a.now())
	if _, syntax := errors.AsType[*rbac.PairSyntaxError](err); syntax {
		return t, usageError(fmt.Errorf("--present %w", err), "--present apiserver-etcd-client.crt,apiserver-etcd-client.key")
	}
	if err != nil {
		return t, clientError(err)
	}
	t.clients = append(t.clients, presented...)
	return t, nil
}

// loadAdministrator loads the certificate that requests present: that of --cert, or of the store's
// first client with role root.
func (f *rbacFlags) loadAdministrator(a *app, t rbacTarget) (err error) {
	admin, found := rbac.Administrator(t.clients)
	switch {
	case f.certPath != "":
		if admin, err = rbac.LoadClient(a.files, f.certPath, f.keyPath, a.now()); err != nil {
			return clientError(err)
		}
	case !found:
		return failure(fmt.Errorf("%s has no certificate of a client with role root", t.dir),
			"etcdsec pki issue -f "+shellword.Path(t.spec)+" "+shellword.Path(t.dir)+"   # or --cert FILE --key FILE of an administrator")
	}
	t.live.Admin = admin
	if f.caPath != "" {
		t.live.Roots, err = clientcert.Pool(a.files, f.caPath)
	} else {
		t.live.Roots, err = rbac.StoreRoots(t.dir)
	}
	if err != nil {
		return failure(err, "--cacert takes PEM certificates (etcd's --trusted-ca-file or kube-apiserver's --etcd-cafile)")
	}
	return nil
}

// planRBAC makes the plan for a spec. If the plan is refused, the spec is bad, which is status 2.
func planRBAC(c *cluster.Cluster, prefix string) (rbac.Plan, error) {
	if err := rbac.CheckPrefix(prefix); err != nil {
		return rbac.Plan{}, usageError(fmt.Errorf("--etcd-prefix %w", err), "--etcd-prefix "+shellword.Path(err.Instead))
	}
	plan, err := rbac.NewPlan(c, c.Etcd.Version, prefix)
	if err != nil {
		err = usageError(fmt.Errorf("planning RBAC: %w", err), "")
	}
	return plan, err
}

// survey reads the state of the cluster. It fails if the plan does not apply to its release.
func (t rbacTarget) survey(ctx context.Context) (rbac.State, error) {
	state, err := t.live.Survey(ctx, t.plan)
	if err == nil {
		return state, nil
	}
	hint := ""
	if _, other := errors.AsType[*rbac.VersionError](err); other {
		hint = "set spec.etcd.version to the release that all members run, or finish the upgrade first"
	}
	if e, learner := errors.AsType[*rbac.LearnerError](err); learner {
		hint = fmt.Sprintf("etcdctl member promote %x   # or etcdctl member remove %[1]x", e.ID)
	}
	return state, failure(err, hint)
}
