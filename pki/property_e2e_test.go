//go:build e2e

package pki

import "testing"

func TestAnyOfManySpecs(t *testing.T) { testAnySpec(t, 25) }

func TestVerifyCatchesManyMutations(t *testing.T) { testMutations(t, 200) }
