package rbac

import (
	"errors"
	"fmt"
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
