package export

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/etcdsec/etcdsec/internal/durable"
)

func TestDeliver(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		there   map[string]string // name to "mode contents"
		how     Delivery
		want    []Action
		differs string // what is refused
	}{
		{"nothing is there", nil, Delivery{}, []Action{ActionWrite, ActionWrite}, ""},
		{"equal", map[string]string{"a": "600 one", "b": "600 two"}, Delivery{}, []Action{ActionKeep, ActionKeep}, ""},
		{"one is missing", map[string]string{"b": "600 two"}, Delivery{}, []Action{ActionWrite, ActionKeep}, ""},
		{"equal and open to others", map[string]string{"a": "644 one"}, Delivery{}, []Action{ActionProtect, ActionWrite}, ""},
		{"of other contents", map[string]string{"b": "600 TWO"}, Delivery{}, nil, "b"},
		{"of another length", map[string]string{"b": "600 two and more"}, Delivery{}, nil, "b"},
		{"both differ", map[string]string{"a": "600 x", "b": "644 y"}, Delivery{}, nil, "a b"},
		{"forced", map[string]string{"a": "644 x", "b": "600 two"}, Delivery{Force: true}, []Action{ActionReplace, ActionKeep}, ""},
		{"dry run", map[string]string{"a": "644 one"}, Delivery{DryRun: true}, []Action{ActionProtect, ActionWrite}, ""},
		{"dry run, differs", map[string]string{"a": "600 x"}, Delivery{DryRun: true}, nil, "a"},
		{"dry run, forced", map[string]string{"a": "600 x"}, Delivery{DryRun: true, Force: true}, []Action{ActionReplace, ActionWrite}, ""},
		{"dry run, nothing is there", nil, Delivery{DryRun: true}, []Action{ActionWrite, ActionWrite}, ""},
	}
	files := []File{{"a", []byte("one")}, {"b", []byte("two")}}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			around := t.TempDir()
			dir := filepath.Join(around, "new", "out")
			for name, is := range tc.there {
				modeText, data, _ := strings.Cut(is, " ")
				perm := fs.FileMode(0o600)
				if modeText == "644" {
					perm = 0o644
				}
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				rewrite(t, []byte(data), perm, dir, name)
			}
			before := tree(t, around)
			got, err := Deliver(dir, files, tc.how)
			if tc.differs != "" {
				var differ *DifferError
				if !errors.As(err, &differ) {
					t.Fatalf("error %v", err)
				}
				var names []string
				for _, path := range differ.Paths {
					names = append(names, filepath.Base(path))
				}
				if strings.Join(names, " ") != tc.differs {
					t.Errorf("%v differ, want %s", differ.Paths, tc.differs)
				}
			} else if err != nil || !slices.Equal(got, tc.want) {
				t.Fatalf("%v %v, want %v", got, err, tc.want)
			}
			if tc.differs != "" || tc.how.DryRun {
				if after := tree(t, around); after != before {
					t.Errorf("it was\n%s\nand is\n%s", before, after)
				}
				return
			}
			checkDelivered(t, dir, files, tc.there == nil)
		})
	}
}

// checkDelivered wants the files and nothing beside them, all closed to others.
func checkDelivered(t *testing.T, dir string, files []File, folderIsOurs bool) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if got := contents(t, path); string(got) != string(f.Data) {
			t.Errorf("%s has other contents", path)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(files) {
		t.Errorf("%d files, %v", len(entries), err)
	}
	if info, err := os.Stat(dir); folderIsOurs && (err != nil || info.Mode().Perm() != 0o700) {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
}

func TestDeliverRefuses(t *testing.T) {
	t.Parallel()
	files := []File{{"a", []byte("one")}, {"b", []byte("two")}}
	cases := []struct {
		name  string
		place func(t *testing.T, dir string) error
		fault string
	}{
		{"a symlink", func(_ *testing.T, dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "b")) }, "b exists and is not a regular file"},
		{"a folder", func(_ *testing.T, dir string) error { return os.Mkdir(filepath.Join(dir, "b"), 0o700) }, "b exists and is not a regular file"},
		{"a pipe", func(_ *testing.T, dir string) error { return syscall.Mkfifo(filepath.Join(dir, "b"), 0o600) }, "b exists and is not a regular file"},
		{"a file in place of the folder", func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, []byte("x"), 0o600))
		}, "out"},
		{"a folder that another works in", func(t *testing.T, dir string) error {
			release, err := durable.Lock(dir)
			if err == nil {
				t.Cleanup(release)
			}
			return err
		}, "another etcdsec is working on it"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tc.place(t, dir); err != nil {
				t.Fatal(err)
			}
			before := tree(t, filepath.Dir(dir))
			if _, err := Deliver(dir, files, Delivery{Force: true}); err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("error %v, want %q", err, tc.fault)
			}
			if after := tree(t, filepath.Dir(dir)); after != before {
				t.Errorf("it was\n%s\nand is\n%s", before, after)
			}
		})
	}
}
