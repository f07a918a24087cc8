package rbac_test

import (
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// apply is killed before and behind changes of etcd; the next run ends the work, and until then
// RBAC is disabled or every user has what the plan gives. `make test-e2e` does so at every point.
func TestRBACKilledAtChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("dozens of processes; not with -short")
	}
	t.Parallel()
	testKilled(t, func(t *testing.T, trace []string) []int {
		// The last three changes set the mark, enable RBAC and take the mark away. There is a
		// point on both sides of each.
		const parts, decisive = 6, 6
		var always []int
		for point := max(1, len(trace)-decisive+1); point <= len(trace); point++ {
			always = append(always, point)
		}
		return clitest.Sample(t, len(trace), parts, always...)
	})
}

func testKilled(t *testing.T, choose clitest.Points) {
	t.Helper()
	c := startRBACCluster(t, 1)
	apply := []string{"rbac", "apply", c.store, "--observe", "0"}
	trace := clitest.Trace(t, "", apply...)
	c.run(t, 0, "disable", "--remove")
	chosen, between := choose(t, trace), 0
	for _, point := range chosen {
		if status, out := clitest.RunKilled(t, "", point, apply...); status != -1 {
			t.Fatalf("point %d of %d: status %d\n%s", point, len(trace), status, out)
		}
		state, _ := c.run(t, 0, "apply", "--dry-run")
		if state.Enabled {
			between++
			if len(state.Changes) > 0 {
				t.Errorf("point %d: RBAC is enabled, and it is still to do: %q", point, state.Changes)
			}
		}
		c.run(t, 0, "apply", "--observe", "0")
		c.run(t, 0, "verify") // which names the mark, if it is left, as what is not of the plan
		roles, err := c.administrator(t).RoleList(t.Context())
		if err != nil || strings.Contains(strings.Join(roles.Roles, ","), "unverified") {
			t.Errorf("point %d: the mark is left: %v, %v", point, roles, err)
		}
		c.run(t, 0, "disable", "--remove")
	}
	if status, out := clitest.RunKilled(t, "", len(trace)+1, apply...); status != 0 {
		t.Errorf("there are more than %d points: status %d\n%s", len(trace), status, out)
	}
	if len(trace) < 40 || between == 0 {
		t.Errorf("%d points, %d of them with RBAC enabled: the failpoints are not where the changes are", len(trace), between)
	}
	t.Logf("killed at %d of %d points, %d of them with RBAC enabled", len(chosen), len(trace), between)
}
