package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
)

// A key that others can read is refused by a type, and a damaged one too, whatever the
// folder's name is.
func TestReadKeyJudgesModeAndContent(t *testing.T) {
	t.Parallel()
	_, sound, err := NewKey(cluster.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		data         []byte
		mode         fs.FileMode
		exposed, bad bool
	}{
		"sound":               {sound, 0o600, false, false},
		"readable":            {sound, 0o640, true, false},
		"empty":               {nil, 0o600, false, true},
		"empty and readable":  {nil, 0o644, true, true},
		"damaged, executable": {sound[:100], 0o711, true, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "chmod.key")
			if err := os.WriteFile(path, tc.data, tc.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			key, err := ReadKey(path)
			exposed, isExposed := errors.AsType[*ModeError](err)
			_, isBad := errors.AsType[*FileError](err)
			if isExposed != tc.exposed || isBad != tc.bad || (key == nil) != (tc.exposed || tc.bad) {
				t.Errorf("got the key %v and %v", key != nil, err)
			}
			if isExposed && (exposed.Path != path || exposed.Mode != tc.mode) {
				t.Errorf("got %+v", exposed)
			}
		})
	}
}
