package encryption_test

import (
	"path/filepath"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// Killed at any moment, the verb leaves no half of a key, and never a second one. It has so
// few points that none is left out.
func TestKilledAtEveryChange(t *testing.T) {
	if testing.Short() {
		t.Skip("dozens of processes; not with -short")
	}
	t.Parallel()
	c := clitest.Crash{Base: t.TempDir(), Verb: []string{"encryption", "generate", "store"}}
	spec := filepath.Join(c.Base, "cluster.yaml")
	clitest.WriteFile(t, spec, []byte(clitest.OneMemberSpec))
	clitest.Expect(t, clitest.StatusDone, "pki", "issue", "-f", spec, filepath.Join(c.Base, "store"))
	points := c.Kill(t, clitest.EveryPoint)
	if points < 15 {
		t.Errorf("%d points, want at least 15: the failpoints are not where the changes are", points)
	}
}
