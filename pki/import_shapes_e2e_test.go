//go:build e2e

package pki

import "testing"

func TestEtcdTakesEveryImport(t *testing.T) { testEtcdTakesImports(t) }
