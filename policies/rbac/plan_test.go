package rbac

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

func TestPlan(t *testing.T) {
	p, err := planOf(t, specOf(t, "3.6.16"), "3.6.16")
	if err != nil {
		t.Fatal(err)
	}
	users := []User{
		{"kube-apiserver", []string{"kubernetes"}, cluster.RoleKubernetes, ""},
		{"healthcheck", []string{"healthcheck"}, cluster.RoleHealthcheck, ""},
		{"auditor", []string{"auditor"}, cluster.RoleAuditor, ""},
		{"backup", []string{"root"}, cluster.RoleBackup, ""},
		{"prometheus", []string{}, cluster.RoleMonitoring, ""},
		{"alice", []string{"root"}, cluster.RoleRoot, ""},
		{"root", []string{"root"}, "", ""},
	}
	if diff := cmp.Diff(users, p.Users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	roles := []Role{
		{"root", []Permission{}},
		{"kubernetes", []Permission{{ReadWrite, KeyRange{"/registry/", "/registry0"}}, {ReadWrite, KeyRange{"compact_rev_key", ""}}}},
		{"healthcheck", []Permission{{Read, KeyRange{"health", ""}}}},
		{"auditor", []Permission{{Read, KeyRange{"/registry/", "/registry0"}}}},
	}
	if diff := cmp.Diff(roles, p.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	said := strings.Join(p.Consequences, "\n")
	for _, want := range []string{"--etcd-compaction-interval=0", "--auto-compaction-retention=5m", "backup has role root", "prometheus gets a user without a role", "does not limit peers"} {
		if !strings.Contains(said, want) {
			t.Errorf("the consequences do not say %q:\n%s", want, said)
		}
	}
}

// What is refused, by the release: the database would fill, an API server would not work, or
// nobody could administer etcd.
func TestRefusals(t *testing.T) {
	const noRoot, noCompaction, status = "no client has role root", "spec.rbac.compaction: is missing", "allows Maintenance.Status only for role root"
	for name, c := range map[string]struct {
		compaction, clients, version string
		want                         []string
	}{
		"etcd compacts":                       {"etcd", "[{name: root, role: root}]", "3.6.16", nil},
		"etcd compacts, the first that does":  {"etcd", "[{name: root, role: root}]", "3.6.12", nil},
		"etcd compacts, 3.5":                  {"etcd", "[{name: root, role: root}]", "3.5.32", nil},
		"etcd compacts, 3.7":                  {"etcd", "[{name: root, role: root}]", "3.7.0", nil},
		"etcd compacts, before the fix of it": {"etcd", "[{name: root, role: root}]", "3.5.27", nil},
		"an API server compacts as root":      {"apiserver", "[{name: root, role: root}]", "3.6.8", nil},
		"nobody said who":                     {"", "[{name: root, role: root}]", "3.7.3", []string{noCompaction}},
		"nobody administers":                  {"etcd", "[{name: root2, role: auditor}]", "3.7.3", []string{noRoot}},
		"a backup is no administrator":        {"etcd", "[{name: b, role: backup}]", "3.7.3", []string{noRoot}},
		"both":                                {"", "[]", "3.7.3", []string{noRoot, noCompaction}},
		"Status is root's":                    {"etcd", "[{name: root, role: root}]", "3.6.11", []string{status}},
		"Status is root's, kubeadm's release": {"etcd", "[{name: root, role: root}]", "3.6.8", []string{status}},
		"Status is root's, 3.5":               {"etcd", "[{name: root, role: root}]", "3.5.31", []string{status}},
	} {
		t.Run(name, func(t *testing.T) {
			rbac := ""
			if c.compaction != "" {
				rbac = "  rbac: {compaction: " + c.compaction + "}\n"
			}
			spec := parse(t, `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "`+c.version+`"
    members: [{name: m0, addresses: [127.0.0.1]}]
  clients: `+c.clients+"\n"+rbac)
			_, err := NewPlan(spec, spec.Etcd.Version, "")
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("refused: %v", err)
			}
			for _, want := range c.want {
				if refusal, ok := errors.AsType[*Refusal](err); !ok || !strings.Contains(err.Error(), want) || refusal.Fix == "" {
					t.Errorf("want %q and a fix, got: %v", want, err)
				}
			}
		})
	}
}

// An API server may go on to compact only as root, whatever the release would let it do today.
func TestCompactionByAPIServerIsRoot(t *testing.T) {
	spec := parse(t, strings.Replace(strings.Replace(everyRole, "VERSION", "3.5.27", 1), "compaction: etcd", "compaction: apiserver", 1))
	p, err := NewPlan(spec, spec.Etcd.Version, "/kubernetes.io")
	if err != nil {
		t.Fatal(err)
	}
	if user, _ := p.User("kube-apiserver"); !slices.Equal(user.Roles, []string{RootRole}) {
		t.Errorf("kube-apiserver has %q", user.Roles)
	}
	if _, ok := p.Role("kubernetes"); ok {
		t.Error("there is a role that nobody has")
	}
	if role, _ := p.Role("auditor"); len(role.Permissions) != 1 || role.Permissions[0].Key != "/kubernetes.io/" {
		t.Errorf("the auditor's role is not of --etcd-prefix: %+v", role)
	}
}

// Members of other releases than the plan's are refused only where the rules differ.
func TestCheckVersions(t *testing.T) {
	p, _ := planOf(t, specOf(t, "3.6.16"), "3.6.16")
	for release, want := range map[string]string{
		"3.6.12": "", "3.6.16": "", "3.5.35": "", "3.6.11": "Maintenance.Status", "3.6.8": "KV.Compact", "3.7.3": "Auth.AuthStatus",
	} {
		v, err := cluster.ParseVersion(release)
		if err != nil {
			t.Fatal(err)
		}
		err = p.CheckVersions([]Member{{"a:1", cluster.Version{Major: 3, Minor: 6, Patch: 16}, "3.6.16"}, {"b:1", v, release}})
		if (err != nil) != (want != "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "b:1 runs etcd "+release)) {
			t.Errorf("%s: %v", release, err)
		}
	}
}

// withoutPasswords returns users as etcd has them whose password was asked for, and who have none.
func withoutPasswords(users []User) []User {
	asked := slices.Clone(users)
	for i := range asked {
		asked[i].Password = PasswordNone
	}
	return asked
}

// Every change that the plan makes is undone by none of its own, and the order gives before it takes.
func TestChanges(t *testing.T) {
	p, _ := planOf(t, specOf(t, "3.6.16"), "3.6.16")
	state := State{Users: withoutPasswords(p.Users), Roles: slices.Clone(p.Roles)}
	if changes := p.Changes(state); len(changes) != 0 {
		t.Errorf("of what is as planned: %v", changes)
	}
	state.Roles[1] = Role{"kubernetes", []Permission{{Read, Prefix("/registry/")}, {ReadWrite, KeyRange{"\x00", "\x00"}}}}
	state.Users[0] = User{Name: "kube-apiserver", Roles: []string{"root"}, Password: PasswordNone}
	state.Users = append(state.Users, User{Name: "mal\nlory"})
	var got []string
	for _, c := range p.Changes(state) {
		got = append(got, c.Text)
	}
	want := []string{
		"grant readwrite /registry/* to role kubernetes", "grant readwrite compact_rev_key to role kubernetes", "grant role kubernetes to user kube-apiserver",
		"revoke readwrite every key from role kubernetes", "revoke role root from user kube-apiserver",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if extra := p.Extra(state); len(extra) != 1 || !strings.Contains(extra[0], `"mal\nlory"`) {
		t.Errorf("extra: %q", extra)
	}
}
