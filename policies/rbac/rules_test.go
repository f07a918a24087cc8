package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// revisionOf is the revision of the store, which every write of a key raises.
func revisionOf(t testing.TB, c *clientv3.Client) int64 {
	t.Helper()
	r, err := c.Get(t.Context(), "health")
	if err != nil {
		t.Fatal(err)
	}
	return r.Header.Revision
}

// letThrough reads etcd's answer: an error that is no refusal came after the permission was checked.
func letThrough(err error) bool {
	text := fmt.Sprint(err)
	if err != nil {
		if s, ok := status.FromError(err); ok {
			text = s.Message()
			if c := s.Code(); c == codes.PermissionDenied || c == codes.Unauthenticated || c == codes.Unimplemented {
				return false
			}
		}
	}
	return err == nil || !strings.HasSuffix(text, "permission denied") && !strings.HasSuffix(text, "user name is empty") && !strings.HasSuffix(text, "user name not found") && !strings.HasSuffix(text, "user not found")
}

// Every cell of the table, measured: each method, with keys that a role has and has not, by the
// holder of each role's certificate, by one whose CN is no user, and by one whose CN etcd ignores.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, version := range append(etcdtest.Versions(), etcdtest.Vulnerable) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := start(t, version)
			plan, _ := planOf(t, specOf(t, version), version) // 3.6.8 is refused, and measured all the same
			live := s.live(t)
			state, err := live.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l := &laboratory{t: t, admin: s.dial(t, "alice")}
			if _, err := l.admin.UserAdd(t.Context(), "scratch", "secret"); err != nil {
				t.Fatal(err)
			}
			if _, err := l.admin.RoleAdd(t.Context(), "nothing"); err != nil {
				t.Fatal(err)
			}
			if _, err := live.Apply(t.Context(), plan, state, s.clients(t, plan)); err != nil {
				t.Fatal(err)
			}
			l.measure(s, plan)
		})
	}
}

func (l *laboratory) measure(s *servers, plan Plan) {
	t := l.t
	t.Helper()
	calls := l.calls()
	for _, n := range plan.Rules {
		if !slices.ContainsFunc(calls, func(c call) bool { return c.request.Method == n.Method }) {
			t.Errorf("%s is in the table and not measured", n.Method)
		}
	}
	cells, denied := 0, 0
	for _, name := range []string{"gateway", "stranger", "prometheus", "healthcheck", "auditor", "kube-apiserver", "backup", "alice"} {
		caller, cn := plan.Caller(name), name
		if name == "gateway" {
			caller, cn = Caller{}, "alice"
		}
		connection := s.dial(t, cn).ActiveConnection()
		for _, c := range calls {
			who := asking{name: cn}
			if len(caller.Roles) > 0 {
				who.role = caller.Roles[0].Name
			} else if c.request.Own && c.request.Method == RoleGet {
				continue // it has none
			}
			ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), askingKey{}, who), time.Minute)
			if name == "gateway" {
				// etcd ignores the CN of a request that its JSON gateway made.
				ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs("grpcgateway-accept", "application/json"))
			}
			err := c.make(ctx, connection)
			if ctx.Err() != nil {
				t.Errorf("%s %s: %v", name, c.request, err)
			}
			cancel()
			want := plan.Rules.Allows(caller, c.request)
			if got := letThrough(err); got != want {
				t.Errorf("%s %s (%s): allowed %t, and the table says %t: %v", name, c.request, plan.Rules.Need(c.request.Method), got, want, err)
			}
			if !want {
				denied++
			}
			cells++
			if c.request.Method == AuthDisable && err == nil {
				if _, err := l.admin.AuthEnable(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Logf("%d cells, %d denied", cells, denied)
}
