//go:build e2e

package pki_test

import "testing"

// Every run of three years, and not only those on which something can change.
func TestEveryRunOfThreeYears(t *testing.T) {
	t.Run("stores", func(t *testing.T) { testThreeYears(t, true) })
	t.Run("changes", func(t *testing.T) { testThreeYearsOfChanges(t, true) })
	t.Run("imports", func(t *testing.T) { testThreeYearsOfAnImport(t, true) })
}
