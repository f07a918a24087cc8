package rbac

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// isUntouched reports whether a cluster has no user and no role.
func isUntouched(t *testing.T, s *servers) bool {
	t.Helper()
	admin := s.dial(t, "alice")
	users, err := admin.UserList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roles, err := admin.RoleList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(users.Users)+len(roles.Roles) == 0
}

// A learner is refused before the first change, whether it was named or not.
func TestLearner(t *testing.T) {
	t.Parallel()
	s := start(t, etcdtest.V3_6)
	plan, err := planOf(t, specOf(t, etcdtest.V3_6), etcdtest.V3_6)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, id := s.addLearner(t, etcdtest.V3_6)
	live := s.live(t)
	if _, err := live.Survey(t.Context(), plan); !isLearner(err, "", id) {
		t.Errorf("a learner that is not among the endpoints: %v", err)
	}
	for _, endpoints := range [][]string{{s.endpoints[0], endpoint}, {endpoint, s.endpoints[0]}} {
		live.Endpoints = endpoints
		if _, err := live.Survey(t.Context(), plan); !isLearner(err, endpoint, id) {
			t.Errorf("%s: %v", endpoints, err)
		}
	}
	if !isUntouched(t, s) {
		t.Error("something was changed")
	}
}

func isLearner(err error, endpoint string, id uint64) bool {
	e, ok := errors.AsType[*LearnerError](err)
	return ok && e.Endpoint == endpoint && e.ID == id
}

// What would make a check fail is found before the first change.
func TestNotReady(t *testing.T) {
	t.Parallel()
	s, open := start(t, etcdtest.V3_6), startOpen(t, etcdtest.V3_6)
	plan, err := planOf(t, specOf(t, etcdtest.V3_6), etcdtest.V3_6)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(s *servers, clients []Client, want string) {
		t.Helper()
		live := s.live(t)
		o, err := live.Apply(t.Context(), plan, survey(t, live, plan), clients)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing was changed") || o.Disabled {
			t.Errorf("want %q, got %v", want, err)
		}
		if !isUntouched(t, s) {
			t.Errorf("%s: something was changed", want)
		}
	}
	refused(s, append(s.clients(t, plan), open.holder(t, "backup")), "presenting backup.crt (backup) to "+s.endpoints[0])
	refused(open, open.clients(t, plan), "accepts a client without a certificate")
	nameless := startNameless(t, etcdtest.V3_6)
	refused(nameless, nameless.clients(t, plan), "was started without --client-cert-auth")

	live := s.live(t)
	id := survey(t, live, plan).Members
	admin, err := live.connect(live.Admin, id[0].Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.close()
	_, at, err := live.status(t.Context(), id[0].Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	alarm := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: at.member}
	if _, err := pb.NewMaintenanceClient(admin.client.ActiveConnection()).Alarm(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	refused(s, s.clients(t, plan), fmt.Sprintf("etcd has an alarm, NOSPACE of member %x", at.member))
}

// The arguments of etcd tell that it ignores the names in certificates, or they tell nothing.
func TestIgnoresNames(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]bool{
		"etcd --trusted-ca-file=ca.crt --cert-file=x":                true,
		"etcd -trusted-ca-file ca.crt":                               true,
		"etcd --trusted-ca-file=ca.crt --client-cert-auth=false":     true,
		"etcd --client-cert-auth=0":                                  true,
		"etcd --trusted-ca-file=ca.crt --client-cert-auth":           false,
		"etcd --client-cert-auth=true --trusted-ca-file=ca.crt":      false,
		"etcd --client-cert-auth=false --client-cert-auth":           false,
		"etcd --config-file=etcd.yaml --trusted-ca-file=ca.crt":      false,
		"etcd --peer-trusted-ca-file=ca.crt --peer-client-cert-auth": false,
		"etcd":               false,
		"":                   false,
		"k3s server --token": false,
	} {
		if got := ignoresNames(strings.Fields(args)); got != want {
			t.Errorf("%q: %t", args, got)
		}
	}
}

// Every release shows the arguments with which it was started.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	s := start(t, etcdtest.V3_5)
	newest := start(t, etcdtest.V3_7)
	for _, s := range []*servers{s, newest} {
		args, err := s.live(t).commandLine(t.Context(), s.endpoints[0])
		if err != nil || !slices.Contains(args, "--client-cert-auth") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
