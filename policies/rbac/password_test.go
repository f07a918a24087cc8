package rbac

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// survey reads the state, which must be possible.
func survey(t *testing.T, live *Live, p Plan) State {
	t.Helper()
	state, err := live.Survey(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// Nobody logs in as a user of the plan with a password that was set before, or uses a token from then.
func TestPasswords(t *testing.T) {
	t.Parallel()
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := start(t, version)
			plan, err := planOf(t, specOf(t, version), version)
			if err != nil {
				t.Fatal(err)
			}
			live, clients, admin := s.live(t), s.clients(t, plan), s.dial(t, "alice")
			const password = "correct horse"
			set := func(name string, roles ...string) {
				t.Helper()
				if _, err := admin.UserAdd(t.Context(), name, password); err != nil {
					t.Fatal(err)
				}
				for _, role := range roles {
					if _, err := admin.UserGrantRole(t.Context(), name, role); err != nil {
						t.Fatal(err)
					}
				}
			}
			nobody := s.dial(t, "nobody")
			logIn := func(name string) (string, error) {
				answer, err := nobody.Authenticate(t.Context(), name, password)
				if err != nil {
					return "", err
				}
				return answer.Token, nil
			}

			// From before the first apply, while etcd does not tell.
			if _, err := admin.RoleAdd(t.Context(), RootRole); err != nil {
				t.Fatal(err)
			}
			set("kube-apiserver", RootRole)
			set(RootUser, RootRole)
			set("stranger")
			state := survey(t, live, plan)
			if texts := strings.Join(changeTexts(plan.Changes(state)), "\n"); !strings.Contains(texts, "replace user kube-apiserver, which may have a password") {
				t.Errorf("changes:\n%s", texts)
			}
			if _, err := live.Apply(t.Context(), plan, state, clients); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"kube-apiserver", RootUser} {
				if _, err := logIn(name); err == nil {
					t.Errorf("one can still log in as %s", name)
				}
			}
			state = survey(t, live, plan)
			if changes := plan.Changes(state); len(changes) > 0 {
				t.Errorf("still to do: %q", changeTexts(changes))
			}
			if extra := plan.Extra(state); !slices.Equal(extra, []string{`user stranger (roles: ""; it has a password)`}) {
				t.Errorf("extra: %q", extra)
			}

			if version != etcdtest.V3_6 {
				return // what follows is the same, once etcd tells
			}

			// From later, while etcd tells: the user, its extra role and its token end.
			if _, err := admin.UserDelete(t.Context(), "prometheus"); err != nil {
				t.Fatal(err)
			}
			set("prometheus", RootRole)
			token, err := logIn("prometheus")
			if err != nil {
				t.Fatal(err)
			}
			withToken := metadata.AppendToOutgoingContext(t.Context(), "token", token)
			if _, err := nobody.Get(withToken, "/registry/x"); err != nil {
				t.Fatalf("the token is no use even now: %v", err)
			}
			state = survey(t, live, plan)
			checks, err := live.Verify(t.Context(), plan, state.Members, clients)
			if err != nil || !slices.ContainsFunc(checks, func(c Check) bool {
				return !c.OK() && c.Client == "prometheus" && c.Request == "log in with a password" && c.Measured == Allowed
			}) {
				t.Errorf("verify does not find the password: %v", err)
			}
			if texts := changeTexts(plan.Changes(state)); !slices.Equal(texts, []string{"replace user prometheus, which has a password"}) {
				t.Errorf("changes: %q", texts)
			}
			if _, err := live.Apply(t.Context(), plan, state, clients); err != nil {
				t.Fatal(err)
			}
			if _, err := logIn("prometheus"); err == nil {
				t.Error("one can still log in as prometheus")
			}
			if _, err := nobody.Get(withToken, "/registry/x"); err == nil {
				t.Error("a token of the former user still works")
			}
			if changes := plan.Changes(survey(t, live, plan)); len(changes) > 0 {
				t.Errorf("still to do: %q", changeTexts(changes))
			}

			// The user of this run cannot be replaced while its rights are needed.
			root := s.dial(t, RootUser)
			if _, err := root.UserDelete(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
			admin = root
			set("alice", RootRole)
			state = survey(t, live, plan)
			_, err = live.Apply(t.Context(), plan, state, clients)
			if e, ok := errors.AsType[*PasswordError](err); !ok || e.User != "alice" || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A run that is stopped does not leave a user out that it deleted.
func TestReplaceUserWhole(t *testing.T) {
	t.Parallel()
	s := start(t, etcdtest.V3_6)
	admin := s.dial(t, "alice")
	if _, err := admin.UserAdd(t.Context(), "u", "secret"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.RoleAdd(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := stopping{admin.Auth, cancel}
	if err := replaceUser(User{Name: "u"}, []string{"r"}).call(ctx, stopped); err != nil {
		t.Fatal(err)
	}
	if u, err := admin.UserGet(t.Context(), "u"); err != nil || !slices.Equal(u.Roles, []string{"r"}) {
		t.Errorf("%v, %v", u, err)
	}
}

// stopping ends a context when a user was deleted.
type stopping struct {
	clientv3.Auth

	end context.CancelFunc
}

func (s stopping) UserDelete(ctx context.Context, name string) (*clientv3.AuthUserDeleteResponse, error) {
	defer s.end()
	return s.Auth.UserDelete(ctx, name)
}
