//go:build e2e

package pki_test

import "testing"

func TestBootstrapKilledOften(t *testing.T) { testBootstrapKilled(t, 12) }

func TestManyBootstrapsAtOnce(t *testing.T) { testBootstrapsAtOnce(t, 5) }
