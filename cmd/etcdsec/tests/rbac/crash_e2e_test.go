//go:build e2e

package rbac_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// Every point, not a sample: some hundred processes.
func TestRBACKilledAtEveryChange(t *testing.T) { testKilled(t, clitest.EveryPoint) }
