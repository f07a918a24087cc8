//go:build e2e

package pki_test

import "testing"

// Three years of all stores, and not only of those that differ most. `make clock` looks at each day.
func TestThreeYearsOfEveryStore(t *testing.T) {
	t.Run("stores", func(t *testing.T) { testThreeYears(t, true) })
	t.Run("changes", func(t *testing.T) { testThreeYearsOfChanges(t, true) })
	t.Run("imports", func(t *testing.T) { testThreeYearsOfAnImport(t, true) })
}
