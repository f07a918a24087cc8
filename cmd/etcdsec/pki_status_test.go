package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Metrics go to a file that a node exporter can read, and that is never half written.
func TestPKIStatusFile(t *testing.T) {
	g := newGiven(t)
	path := filepath.Join(t.TempDir(), "etcdsec.prom")
	status, stdout, stderr := etcdsec(t, "pki", "status", g.words["STORE"], "-o", "prometheus="+path)
	data, err := os.ReadFile(path)
	if err != nil || status != statusDone || stdout != "" || !strings.Contains(string(data), "# HELP ") {
		t.Fatalf("status %d, %v, %q, %s", status, err, stdout, stderr)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, wrong := range []string{"prometheus=", "xml=" + path} {
		if status, _, _ := etcdsec(t, "pki", "status", g.words["STORE"], "-o", wrong); status != statusUsage {
			t.Errorf("-o %s: status %d", wrong, status)
		}
	}
}
