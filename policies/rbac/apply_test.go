package rbac

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// From nothing to verified, and again: the second run has nothing to change.
func TestApply(t *testing.T) {
	t.Parallel()
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := start(t, version)
			plan, err := planOf(t, specOf(t, version), version)
			if err != nil {
				t.Fatal(err)
			}
			live, clients := s.live(t), s.clients(t, plan)
			before := revisionOf(t, s.dial(t, "alice"))
			for run := range 2 {
				state, err := live.State(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if again := run > 0; state.Enabled != again || state.Unverified || again && (len(plan.Changes(state)) != 0 || len(plan.Extra(state)) != 0) {
					t.Errorf("run %d: enabled %t, unverified %t, changes %v, extra %v", run, state.Enabled, state.Unverified, plan.Changes(state), plan.Extra(state))
				}
				o, err := live.Apply(t.Context(), plan, state, clients)
				if err != nil {
					t.Fatal(err)
				}
				if want := len(clients)*len(probes(plan.Prefix)) + len(plan.Users); len(o.Checks) != want || o.Disabled {
					t.Errorf("run %d: %d checks, want %d", run, len(o.Checks), want)
				}
				denied := slices.ContainsFunc(o.Checks, func(c Check) bool { return c.Measured == Denied })
				allowed := slices.ContainsFunc(o.Checks, func(c Check) bool { return c.Measured == Allowed })
				if !denied || !allowed {
					t.Error("the checks tell nothing apart")
				}
			}
			if after := revisionOf(t, s.dial(t, "alice")); after != before {
				t.Errorf("the store went from revision %d to %d", before, after)
			}
		})
	}
}

// A run that was killed after it enabled RBAC leaves a mark. The next one does not take what it
// finds for proven: it tries every certificate, and disables RBAC if one does not work.
func TestApplyAfterAKill(t *testing.T) {
	t.Parallel()
	s := start(t, etcdtest.V3_6)
	plan, err := planOf(t, specOf(t, etcdtest.V3_6), etcdtest.V3_6)
	if err != nil {
		t.Fatal(err)
	}
	live, clients := s.live(t), s.clients(t, plan)
	state, err := live.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.Apply(t.Context(), plan, state, clients); err != nil {
		t.Fatal(err)
	}
	if _, err := s.dial(t, "alice").RoleAdd(t.Context(), markerRole); err != nil {
		t.Fatal(err)
	}
	state, err = live.State(t.Context())
	if err != nil || !state.Enabled || !state.Unverified {
		t.Fatalf("%+v, %v", state, err)
	}
	foreign := start(t, etcdtest.V3_6)
	o, err := live.Apply(t.Context(), plan, state, append(slices.Clone(clients), foreign.holder(t, "backup")))
	if err == nil || !o.Disabled {
		t.Errorf("a certificate that no member trusts was fine: %+v, %v", o.Disabled, err)
	}
	after, err := live.State(t.Context())
	if err != nil || after.Enabled || after.Unverified {
		t.Errorf("after: %+v, %v", after, err)
	}
}

// Members of two releases: the plan holds for both, or is refused with the member and the reason.
func TestMixedReleases(t *testing.T) {
	t.Parallel()
	s := start(t, etcdtest.V3_6, etcdtest.V3_5, etcdtest.V3_6)
	plan, err := planOf(t, specOf(t, etcdtest.V3_6), etcdtest.V3_6)
	if err != nil {
		t.Fatal(err)
	}
	live := s.live(t)
	state, err := live.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.CheckVersions(state.Members); err != nil || len(state.Members) != 3 || state.Members[1].Release != etcdtest.V3_5 {
		t.Errorf("%+v, %v", state.Members, err)
	}
	if o, err := live.Apply(t.Context(), plan, state, s.clients(t, plan)); err != nil || len(o.Checks) == 0 {
		t.Error(err)
	}
	newer, _ := planOf(t, specOf(t, etcdtest.V3_7), etcdtest.V3_7)
	if err := newer.CheckVersions(state.Members); err == nil {
		t.Error("a plan for 3.7, whose rules differ, was taken for these")
	}
	// A member that is not asked could be anything.
	some := *live
	some.Endpoints = some.Endpoints[:2]
	if _, err := some.State(t.Context()); err == nil {
		t.Error("two of three members were enough")
	}
}

// signal is a key that calls a function when it is used, in a handshake.
type signal struct {
	crypto.Signer

	end func()
}

func (s signal) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	s.end()
	return s.Signer.Sign(random, digest, options)
}

// A run that is stopped leaves RBAC disabled and without the mark, whatever it was doing.
func TestApplyIsStopped(t *testing.T) {
	t.Parallel()
	s := start(t, etcdtest.V3_6)
	plan, err := planOf(t, specOf(t, etcdtest.V3_6), etcdtest.V3_6)
	if err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	for _, test := range []string{"before RBAC is enabled", "while it is enabled", "while it is verified"} {
		t.Run(test, func(t *testing.T) {
			live, clients := s.live(t), s.clients(t, plan)
			ctx, cancel := context.WithCancelCause(t.Context())
			end := func() { cancel(stopped) }
			// The last certificate stops it, where nothing else does before. It is presented before
			// the first change as well.
			last := &clients[len(clients)-1]
			key, ok := last.Certificate.PrivateKey.(crypto.Signer)
			if !ok {
				t.Fatal("a key that cannot sign")
			}
			var enabling atomic.Bool
			atEnable := end
			atCheck := end
			switch test {
			case "while it is enabled":
				atEnable = func() {
					watch := s.dial(t, "alice")
					go func() { // until etcd has done it, and perhaps not yet answered
						defer end()
						for t.Context().Err() == nil {
							if a, err := watch.AuthStatus(t.Context()); err == nil && a.Enabled {
								return
							}
						}
					}()
				}
				atCheck = func() { <-ctx.Done() }
			case "while it is verified":
				atEnable = func() {}
			}
			live.Narrate = func(format string, args ...any) {
				if fmt.Sprintf(format, args...) == enable().Text {
					enabling.Store(true)
					atEnable()
				}
			}
			last.Certificate.PrivateKey = signal{key, func() {
				if enabling.Load() {
					atCheck()
				}
			}}
			state, err := live.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if o, err := live.Apply(ctx, plan, state, clients); err == nil || !o.Disabled {
				t.Errorf("disabled again: %t, %v", o.Disabled, err)
			}
			after, err := s.live(t).State(t.Context())
			if err != nil || after.Enabled || after.Unverified {
				t.Errorf("enabled %t, marked %t, %v", after.Enabled, after.Unverified, err)
			}
		})
	}
}
