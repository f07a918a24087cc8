package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/report"
)

func TestParseOutputs(t *testing.T) {
	for name, c := range map[string]struct {
		written []string
		want    []report.Output
		faults  []string
	}{
		"nothing":     {nil, []report.Output{{Format: "text"}}, nil},
		"both":        {[]string{"html=a=b", "json"}, []report.Output{{Format: "html", Path: "a=b"}, {Format: "json"}}, nil},
		"unknown":     {[]string{"xml", "yaml=x"}, nil, []string{"-o xml: unknown format; want text", "-o yaml=x: unknown"}},
		"no file":     {[]string{"html="}, nil, []string{"no file after"}},
		"twice":       {[]string{"html=a", "html=b"}, nil, []string{"-o html=b: the format is given twice"}},
		"both stdout": {[]string{"text", "json"}, nil, []string{"give one a file: -o json=FILE"}},
		"one file":    {[]string{"html=a/x", "csv=a/./x"}, nil, []string{"two reports in one file"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := report.ParseOutputs(c.written)
			if (err != nil) != (c.faults != nil) {
				t.Fatalf("got %v", err)
			}
			for _, fault := range c.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("%q is not in %v", fault, err)
				}
			}
			if err == nil && (len(got) != len(c.want) || got[0] != c.want[0] || got[len(got)-1] != c.want[len(got)-1]) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// A new file is closed to others; one that is there keeps its mode, and a link to it stays one;
// what is no file is left alone, and the other outputs are written all the same.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	fresh, old, link := filepath.Join(dir, "new"), filepath.Join(dir, "old"), filepath.Join(dir, "link")
	metrics := filepath.Join(dir, "etcdsec.prom")
	if err := os.WriteFile(old, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(old, link); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	outputs := []report.Output{{Format: "json"}, {Format: "csv", Path: dir}, {Format: "html", Path: fresh}, {Format: "junit", Path: link}, {Format: "prometheus", Path: metrics}}
	err := report.Write(outputs, &stdout, false, audit.Report{}, nil)
	if err == nil || !strings.Contains(err.Error(), "-o csv="+dir+": not a regular file") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	if !strings.HasPrefix(stdout.String(), "{") {
		t.Errorf("stdout: %q", stdout.String())
	}
	for path, mode := range map[string]os.FileMode{fresh: 0o600, old: 0o640, metrics: 0o644} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != mode || info.Size() == 0 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if target, err := os.Readlink(link); err != nil || target != old {
		t.Errorf("the link is gone: %v", err)
	}
}
