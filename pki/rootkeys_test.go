package pki

import (
	"os"
	"path/filepath"
	"testing"
)

// takeRootKeys takes the keys of the roots off the store, and returns what puts them back.
func takeRootKeys(t testing.TB, dir string) (putBack func()) {
	t.Helper()
	taken := map[string][]byte{}
	for _, root := range []string{ClientRoot, PeerRoot} {
		path := filepath.Join(dir, "authorities", root, caKeyName)
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		taken[path] = data
	}
	return func() {
		for path, data := range taken {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
