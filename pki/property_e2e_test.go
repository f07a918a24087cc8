//go:build e2e

package pki

import (
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
)

func TestAnyOfManySpecs(t *testing.T) { testAnySpec(t, 25) }

func TestVerifyCatchesManyMutations(t *testing.T) { testMutations(t, 200) }

func TestEveryKeyAlgorithm(t *testing.T) { testKeyAlgorithms(t, cluster.KeyAlgorithms()) }
