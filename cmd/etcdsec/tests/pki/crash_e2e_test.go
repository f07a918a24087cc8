//go:build e2e

package pki_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// Every point, not a sample: some thousand processes.
func TestKilledAtEveryPoint(t *testing.T) { testKilled(t, clitest.EveryPoint) }
