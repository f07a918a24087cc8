package pki

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCheckOutsideStores(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	around := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "clients"), filepath.Join(around, "link")); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		path    string
		refused bool
	}{
		"beside":                         {dir + "-secrets", false},
		"elsewhere, not there yet":       {filepath.Join(around, "a", "b"), false},
		"its parent":                     {filepath.Dir(dir), false},
		"the store":                      {dir, true},
		"the store, spelt otherwise":     {dir + "/clients/..", true},
		"below":                          {filepath.Join(dir, "nodes", "etcd-0"), true},
		"a bundle":                       {filepath.Join(dir, "nodes", "etcd-0", "pki"), true},
		"below, not there yet":           {filepath.Join(dir, "out", "secrets"), true},
		"through a symlink":              {filepath.Join(around, "link"), true},
		"below a symlink, not there yet": {filepath.Join(around, "link", "out"), true},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckOutsideStores(tc.path)
			if _, inside := errors.AsType[*InStoreError](err); inside != tc.refused || err != nil && !inside {
				t.Errorf("%s: %v", tc.path, err)
			}
		})
	}
}
