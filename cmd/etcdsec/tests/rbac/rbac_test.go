package rbac_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

// rbacCluster is a bootstrapped store and the members that run with its files.
type rbacCluster struct {
	store     string
	endpoints []string
	members   []*etcdtest.Member
}

func startRBACCluster(t *testing.T, members int) *rbacCluster {
	t.Helper()
	dir := t.TempDir()
	c := &rbacCluster{store: filepath.Join(dir, "store")}
	var listed []string
	var hosts []string
	for i := range members {
		hosts = append(hosts, fmt.Sprintf("127.0.0.%d", i+1))
		listed = append(listed, fmt.Sprintf("{name: m%d, addresses: [%s]}", i, hosts[i]))
	}
	ports, err := etcdtest.FreePortsOn(hosts, 3)
	if err != nil {
		t.Fatal(err)
	}
	spec := filepath.Join(dir, "cluster.yaml")
	clitest.WriteFile(t, spec, fmt.Appendf(nil, `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: %q
    runtime: systemd
    clientPort: %d
    peerPort: %d
    metricsPort: %d
    pkiDir: %s/nodes/{{.Name}}/pki
    dataDir: %s/data-{{.Name}}
    members: [%s]
  clients: [{name: backup, role: backup}, {name: root, role: root}, {name: prometheus, role: monitoring}]
  rbac: {compaction: etcd}
`, etcdtest.V3_6, ports[0], ports[1], ports[2], c.store, dir, strings.Join(listed, ", ")))
	if status, _, stderr := clitest.Run(t, "bootstrap", "-f", spec, c.store); status != 0 {
		t.Fatalf("bootstrap: status %d\n%s", status, stderr)
	}
	var configs []etcdtest.Config
	for i, host := range hosts {
		c.endpoints = append(c.endpoints, fmt.Sprintf("%s:%d", host, ports[0]))
		name := fmt.Sprintf("m%d", i)
		configs = append(configs, etcdtest.Config{
			Name: name, HealthURL: fmt.Sprintf("http://%s:%d/health", host, ports[2]),
			Args: []string{"--config-file=" + filepath.Join(c.store, "nodes", name, "etcd.conf.yaml")},
		})
	}
	c.members = etcdtest.Run(t, configs...)
	return c
}

// administrator returns etcd's own client with the certificate of root in the store.
func (c *rbacCluster) administrator(t *testing.T) *clientv3.Client {
	t.Helper()
	at := filepath.Join(c.store, "clients", "root")
	pair, err := tls.LoadX509KeyPair(filepath.Join(at, "client.crt"), filepath.Join(at, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(at, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the CA is no PEM certificate")
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.endpoints, DialTimeout: time.Minute, Logger: zap.NewNop(),
		TLS: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// rbacReport is the output of the verbs with -o json.
type rbacReport struct {
	SchemaVersion int `json:"schema_version"`
	Members       []rbac.Member
	Enabled       bool
	Changes       []string
	Extra         []string
	Checks        []rbac.Check
}

// run runs a verb with -o json, checks its status, and returns the report.
func (c *rbacCluster) run(t *testing.T, want int, verb string, args ...string) (report rbacReport, stderr string) {
	t.Helper()
	status, stdout, stderr := clitest.Run(t, append([]string{"rbac", verb, c.store, "-o", "json"}, args...)...)
	if status != want {
		t.Fatalf("%s %v: status %d, want %d\n%s%s", verb, args, status, want, stdout, stderr)
	}
	if stdout == "" {
		return rbacReport{}, stderr
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.SchemaVersion != 1 {
		t.Fatalf("%s: %v, schema version %d\n%s", verb, err, report.SchemaVersion, stdout)
	}
	return report, stderr
}

// The life of RBAC on three members that run with the files of bootstrap.
func TestRBACOnRealMembers(t *testing.T) {
	t.Parallel()
	c := startRBACCluster(t, 3)
	admin := c.administrator(t)
	if _, err := admin.Put(t.Context(), "/registry/secrets/default/s", "v"); err != nil {
		t.Fatal(err)
	}

	dry, _ := c.run(t, 0, "apply", "--dry-run")
	if len(dry.Changes) < 15 || dry.Enabled || len(dry.Members) != 3 {
		t.Errorf("dry run: %+v", dry)
	}
	if users, err := admin.UserList(t.Context()); err != nil || len(users.Users) != 0 {
		t.Errorf("the dry run made users: %v, %v", users, err)
	}
	if before, _ := c.run(t, 3, "verify"); len(before.Changes) != len(dry.Changes) {
		t.Errorf("verify before: %+v", before)
	}

	release, err := durable.Lock(c.store)
	if err != nil {
		t.Fatal(err)
	}
	if _, stderr := c.run(t, 1, "apply", "--observe", "0"); !strings.Contains(stderr, "another etcdsec is working on it") {
		t.Errorf("while another works on the store: %s", stderr)
	}
	release()

	applied, _ := c.run(t, 0, "apply", "--observe", "0")
	const clients, probes = 6, 16 + 1 // one tries a password
	if !applied.Enabled || len(applied.Checks) != 3*clients*probes {
		t.Errorf("apply: enabled %t, %d checks, want %d", applied.Enabled, len(applied.Checks), 3*clients*probes)
	}
	if strings.Join(applied.Changes, "\n") != strings.Join(dry.Changes, "\n") {
		t.Errorf("the run changed %q, and the dry run said %q", applied.Changes, dry.Changes)
	}
	if again, _ := c.run(t, 0, "apply"); len(again.Changes) != 0 || !again.Enabled { // nobody is kept from compacting: nothing to observe
		t.Errorf("again: %+v", again)
	}
	if verified, _ := c.run(t, 0, "verify"); len(verified.Checks) != 3*clients*probes {
		t.Errorf("verify: %d checks", len(verified.Checks))
	}

	// Drift: somebody gives a user more, and makes another.
	if _, err := admin.RoleGrantPermission(t.Context(), "healthcheck", "/registry/", "/registry0", clientv3.PermissionType(clientv3.PermRead)); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.UserAddWithOptions(t.Context(), "mallory", "", &clientv3.UserAddOptions{NoPassword: true}); err != nil {
		t.Fatal(err)
	}
	drift, _ := c.run(t, 3, "verify")
	if len(drift.Changes) != 1 || !strings.Contains(drift.Changes[0], "revoke read /registry/* from role healthcheck") || len(drift.Extra) != 1 || !strings.Contains(drift.Extra[0], "mallory") {
		t.Errorf("drift: %q, extra %q", drift.Changes, drift.Extra)
	}
	if !failedCheck(drift, "healthcheck", "KV.Range /registry/*", rbac.Allowed) {
		t.Errorf("no check of drift saw that healthcheck reads what is not its: %+v", drift.Checks)
	}
	if fixed, _ := c.run(t, 0, "apply"); len(fixed.Extra) != 1 {
		t.Errorf("mallory is gone or not named: %+v", fixed.Extra)
	}
	if _, err := admin.UserDelete(t.Context(), "mallory"); err != nil {
		t.Fatal(err)
	}
	c.run(t, 0, "verify")

	// With a member down nothing can be proven, and RBAC can be disabled all the same.
	c.members[0].Kill()
	if _, stderr := c.run(t, 1, "verify", "--timeout", "1m"); !strings.Contains(stderr, c.endpoints[0]) {
		t.Errorf("verify does not name the member that is down:\n%s", stderr)
	}
	if would, _ := c.run(t, 0, "disable", "--dry-run", "--timeout", "1m"); strings.Join(would.Changes, ",") != "disable RBAC" {
		t.Errorf("disable --dry-run: %q", would.Changes)
	}
	c.run(t, 0, "disable", "--timeout", "1m")
	if again, _ := c.run(t, 0, "disable", "--timeout", "1m"); len(again.Changes) != 0 {
		t.Errorf("disable again: %q", again.Changes)
	}
	c.run(t, 0, "disable", "--remove", "--timeout", "1m")
	users, err := admin.UserList(t.Context())
	roles, rolesErr := admin.RoleList(t.Context())
	if err != nil || rolesErr != nil || len(users.Users)+len(roles.Roles) != 0 {
		t.Errorf("left behind: %v %v, %v %v", users, err, roles, rolesErr)
	}
	value, err := admin.Get(t.Context(), "/registry/secrets/default/s")
	if err != nil || len(value.Kvs) != 1 || value.Kvs[0].Version != 1 {
		t.Errorf("what was stored is not as it was: %v, %v", value, err)
	}
}

func failedCheck(r rbacReport, client, request string, measured rbac.Verdict) bool {
	for _, c := range r.Checks {
		if !c.OK() && c.Client == client && c.Request == request && c.Measured == measured {
			return true
		}
	}
	return false
}

// What would lock somebody out is found before anything is changed, and what does not work after
// RBAC was enabled disables it again.
func TestRBACApplyRefuses(t *testing.T) {
	t.Parallel()
	c := startRBACCluster(t, 1)
	foreign := clitest.NewIdentity(t, time.Time{}) // its CN is that of a user, its CA nobody's
	stranger := foreign.Named(t, "stranger").Cert  // a CN that no spec has
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a certificate in use has no user":      {[]string{"--observe", "0", "--also", stranger}, `the plan has no user for its CN "stranger"`},
		"one of ours that is refused":           {[]string{"--observe", "0", "--present", foreign.Cert + "," + foreign.Key}, "nothing was changed"},
		"etcd does not compact":                 {[]string{"--observe", "300ms"}, "etcd did not compact itself within 300ms"},
		"a member that is none of the cluster":  {[]string{"--observe", "0", "--endpoints", "127.0.0.1:1"}, "asking 127.0.0.1:1"},
		"a member that nobody names":            {[]string{"--observe", "0", "--also", filepath.Join(c.store, "cluster.yaml")}, "no PEM certificate in it"},
		"an administrator who would not be one": {[]string{"--observe", "0", "--cert", filepath.Join(c.store, "clients/auditor/client.crt"), "--key", filepath.Join(c.store, "clients/auditor/client.key")}, "does not give user auditor role root"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr := c.run(t, 1, "apply", test.args...)
			if !strings.Contains(stderr, test.want) {
				t.Errorf("stderr does not say %q:\n%s", test.want, stderr)
			}
			status, err := c.administrator(t).AuthStatus(t.Context())
			if err != nil || status.Enabled {
				t.Errorf("RBAC is enabled: %v, %v", status, err)
			}
		})
	}
	roles, err := c.administrator(t).RoleList(t.Context())
	if err != nil || strings.Contains(strings.Join(roles.Roles, ","), "unverified") {
		t.Errorf("the mark is left: %v, %v", roles, err)
	}
	// What is not as it has to be once RBAC is in use is no reason to open everything.
	c.run(t, 0, "apply", "--observe", "0")
	_, stderr := c.run(t, 1, "apply", "--present", foreign.Cert+","+foreign.Key)
	if !strings.Contains(stderr, "nothing was changed") {
		t.Errorf("stderr:\n%s", stderr)
	}
	if status, err := c.administrator(t).AuthStatus(t.Context()); err != nil || !status.Enabled {
		t.Errorf("RBAC is disabled: %v, %v", status, err)
	}
	// The way out is open whatever became of the other certificates, and of the plan.
	clitest.WriteFile(t, filepath.Join(c.store, "clients", "backup", "client.crt"), []byte("nothing"))
	c.run(t, 1, "verify")
	refused := filepath.Join(t.TempDir(), "cluster.yaml")
	spec, err := os.ReadFile(filepath.Join(c.store, "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, refused, []byte(strings.Replace(string(spec), "  rbac: {compaction: etcd}\n", "", 1)))
	c.run(t, 2, "verify", "-f", refused)
	c.run(t, 0, "disable", "-f", refused)
}

// A run whose terminal dies while it tries certificates leaves nothing enabled that is not proven.
func TestRBACApplyHangsUp(t *testing.T) {
	t.Parallel()
	c := startRBACCluster(t, 1)
	args := []string{"rbac", "apply", c.store, "--observe", "0"}
	backup := filepath.Join(c.store, "clients", "backup")
	for range 100 { // so that it takes long enough
		args = append(args, "--present", filepath.Join(backup, "client.crt")+","+filepath.Join(backup, "client.key"))
	}
	cmd := clitest.Command(t, args...)
	// Nobody reads what it says, as after the end of a terminal at which it was given to tee(1).
	said, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = says, says
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	admin := c.administrator(t)
	for {
		status, err := admin.AuthStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status.Enabled {
			break
		}
	}
	_ = said.Close()
	_ = says.Close()
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the status is looked at
	if got := cmd.ProcessState.ExitCode(); got != clitest.StatusFailed {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
	status, err := admin.AuthStatus(t.Context())
	roles, rolesErr := admin.RoleList(t.Context())
	if err != nil || rolesErr != nil || status.Enabled || strings.Contains(strings.Join(roles.Roles, ","), "unverified") {
		t.Errorf("RBAC is enabled, or the mark is left: %v %v, %v %v", status, err, roles, rolesErr)
	}
}
