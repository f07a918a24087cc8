package rbac

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

func TestReport(t *testing.T) {
	t.Parallel()
	p, err := planOf(t, specOf(t, "3.6.16"), "3.6.16")
	if err != nil {
		t.Fatal(err)
	}
	planned := State{Members: []Member{{Endpoint: "a:1", Release: "3.6.16"}}, Enabled: true, Users: withoutPasswords(p.Users), Roles: p.Roles}
	r := p.Report(planned)
	if r.SchemaVersion != 1 || r.Verdict() != Allowed {
		t.Errorf("as planned: %+v", r)
	}
	r.Checks = []Check{{Client: "alice", Endpoint: "a:1", Request: "KV.Compact", Planned: Allowed, Measured: Allowed}}
	if got := text(t, r); got != "a:1 runs etcd 3.6.16\nRBAC is enabled; 1 of 1 checks went as planned\n" || r.Verdict() != Allowed {
		t.Errorf("got %q", got)
	}
	r.Checks = append(r.Checks, Check{Client: "bob", Endpoint: "a:1", Request: "KV.Put", Planned: Denied, Measured: Allowed})
	if r.Verdict() != Denied {
		t.Errorf("what went wrong is %s", r.Verdict())
	}
	// What cannot be told outweighs what is wrong.
	r.Checks = append(r.Checks, Check{Client: "bob", Endpoint: "a:1", Request: "KV.Range", Planned: Denied, Measured: Unknown, Reason: "no answer"})
	want := `a:1 runs etcd 3.6.16
not as planned:
  bob at a:1: KV.Put was allowed, and the plan says denied
  bob at a:1: KV.Range was unknown, and the plan says denied: no answer
RBAC is enabled; 1 of 3 checks went as planned
`
	if diff := cmp.Diff(want, text(t, r)); diff != "" || r.Verdict() != Unknown {
		t.Errorf("%s (-want +got):\n%s", r.Verdict(), diff)
	}
	disabled := p.Report(State{Users: withoutPasswords(p.Users), Roles: append(p.Roles, Role{Name: "more"})})
	want = `changes:
  enable RBAC
not in the plan, and kept (to delete: etcdctl user delete NAME, etcdctl role delete NAME):
  role more
RBAC is disabled
`
	if diff := cmp.Diff(want, text(t, disabled)); diff != "" || disabled.Verdict() != Denied {
		t.Errorf("%s (-want +got):\n%s", disabled.Verdict(), diff)
	}
}

func TestDisabling(t *testing.T) {
	t.Parallel()
	p, _ := planOf(t, specOf(t, "3.6.16"), "3.6.16")
	enabled := State{Enabled: true, Users: p.Users[:1], Roles: p.Roles[:1]}
	if got := text(t, p.Disabling(enabled, true)); got != "disable RBAC\ndelete user kube-apiserver\ndelete role root\n" {
		t.Errorf("got %q", got)
	}
	if got := text(t, p.Disabling(State{Users: p.Users}, false)); got != "RBAC is disabled already\n" {
		t.Errorf("got %q", got)
	}
	if got := p.Disabling(State{}, true); got.Changes == nil {
		t.Error("no changes are null in JSON")
	}
}

func TestTakesCompaction(t *testing.T) {
	t.Parallel()
	byEtcd, _ := planOf(t, specOf(t, "3.6.16"), "3.6.16")
	byAPIServer := byEtcd
	byAPIServer.Compaction = cluster.CompactionByAPIServer
	root := []User{{Name: "kube-apiserver", Roles: []string{RootRole}}}
	for name, c := range map[string]struct {
		plan  Plan
		state State
		want  bool
	}{
		"it is enabled now":               {byEtcd, State{}, true},
		"it was enabled, and it was root": {byEtcd, State{Enabled: true, Users: root}, true},
		"it was enabled, as planned":      {byEtcd, State{Enabled: true, Users: byEtcd.Users}, false},
		"an API server may compact":       {byAPIServer, State{}, false},
	} {
		if got := c.plan.TakesCompaction(c.state); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestPlanText(t *testing.T) {
	t.Parallel()
	p, _ := planOf(t, specOf(t, "3.6.16"), "3.6.16")
	got := text(t, p)
	for _, want := range []string{"etcd RBAC of prod, by the rules of etcd 3.6.16\n", "prometheus      -            nothing\n", "alice           root         everything\n", "\n- "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if err := p.WriteText(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	if err := p.Report(State{}).WriteText(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

var errFull = errors.New("full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func text(t *testing.T, of interface{ WriteText(w io.Writer) error }) string {
	t.Helper()
	var b strings.Builder
	if err := of.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
