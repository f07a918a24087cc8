package pki

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/internal/durable"
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

// Former releases installed keys made elsewhere into the bundle of a store. Nothing advises to remove them,
// and the next certificate makes plain files of all.
func TestStoreWithInstalledKeys(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{"etcdsec": "", "kubeadm": "  pki: {layout: kubeadm}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := specOf(t, 1, spec)
			dir := filepath.Join(t.TempDir(), "store")
			issue(t, dir, c, testNow())
			offline(t, dir)
			bundle := NewPlan(c).Bundles[0]
			keys := map[string][]byte{}
			for _, l := range bundle.Leaves {
				keys[l.KeyFile] = readFile(t, filepath.Join(dir, bundle.Path, l.KeyFile))
				for _, file := range []string{l.CertFile, l.KeyFile} {
					at := filepath.Join(dir, bundle.Path, file)
					project := durable.File{Name: filepath.Base(at), Mode: 0o600, Data: readFile(t, at)}
					if err := durable.ProjectFiles(filepath.Dir(at), []durable.File{project}, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			found := verify(t, dir, c, testNow())
			if len(found) == 0 {
				t.Error("verify finds nothing")
			}
			for _, f := range found {
				if !strings.Contains(f.Problem, "was made by pki install") || strings.Contains(f.Fix.String(), "rm ") {
					t.Errorf("%s: %s: %s", f.Path, f.Problem, f.Fix)
				}
			}
			renew(t, dir, c, testNow(), Renewal{Names: []string{bundle.Leaves[0].Name}})
			if found := verify(t, dir, c, testNow()); len(found) > 0 {
				t.Errorf("after the next certificate: %+v", found)
			}
			for file, want := range keys {
				if info, err := os.Lstat(filepath.Join(dir, bundle.Path, file)); err != nil || info.Mode() != 0o600 {
					t.Errorf("%s: %v %v", file, info.Mode(), err)
				}
				if got := readFile(t, filepath.Join(dir, bundle.Path, file)); !bytes.Equal(got, want) {
					t.Errorf("%s is another key", file)
				}
			}
		})
	}
}
