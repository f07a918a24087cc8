package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// A name from outside reaches the terminal as text: it neither writes a finding of its own nor moves the cursor.
func TestNamesFromOutside(t *testing.T) {
	g := newGiven(t)
	store := g.words["STORE"]
	const name = "a\x1b[2J\u202eb\nstore-ca.key\n  fix: none.key"
	clitest.WriteFile(t, filepath.Join(store, "nodes", name), []byte("x"))
	hostile := filepath.Join(t.TempDir(), "x\x1b[31m\u2066.yaml")
	clitest.WriteFile(t, hostile, []byte("kind: Cluster\n\"k\\e[2J\\u202E\": x\n"))
	for _, args := range [][]string{
		{"pki", "verify", store},
		{"bootstrap", "-f", hostile, store},
		{"policies", "prove", "-f", hostile},
		{"audit", "run", "--targets", hostile},
		{"encryption", "lint", hostile},
		{"pki", "status", filepath.Join(store, "nodes", name)},
	} {
		_, stdout, stderr := etcdsec(t, args...)
		for what, text := range map[string]string{"stdout": stdout, "stderr": stderr} {
			if strings.ContainsAny(text, "\x1b\u202e\u2066") || strings.Contains(text, "\nstore-ca.key") {
				t.Errorf("etcdsec %q: %s:\n%q", args, what, text)
			}
		}
		if stdout+stderr == "" {
			t.Errorf("etcdsec %q says nothing", args)
		}
	}
	if _, err := os.Stat(hostile); err != nil {
		t.Error(err)
	}
}
