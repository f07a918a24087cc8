package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

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

// hostileNames are what somebody may write into a file or call it, to move the cursor, to turn text around, to
// make a line of their own, or to fill the screen.
func hostileNames() []string {
	return []string{"x\x1b[31m\u2066y", "x\r\u202ey", "x\netcdsec: error: all clean", "x\u2028\u200b\u009by"}
}

// checkLegible checks what a verb printed of a hostile name.
func checkLegible(t *testing.T, what, output string) {
	t.Helper()
	if at := strings.IndexFunc(output, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp))
	}); at >= 0 {
		t.Errorf("%s: a terminal would obey this:\n%q", what, output)
	}
	for line := range strings.Lines(output) {
		const longest = 12_000
		if strings.HasPrefix(line, "etcdsec: error: all clean") {
			t.Errorf("%s: a line of its own:\n%s", what, output)
		}
		if n := utf8.RuneCountInString(line); n > longest {
			t.Errorf("%s: a line of %d characters", what, n)
		}
	}
}

// The name of every given file, and the keys in it, reach the terminal as text, whatever the verb does with them.
func TestHostileGivenFiles(t *testing.T) {
	g := newGiven(t)
	dir := t.TempDir()
	for _, name := range hostileNames() {
		key, err := json.Marshal(name + strings.Repeat("n", 10_000)) // which is YAML too
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		clitest.WriteFile(t, file, []byte("{kind: Cluster, apiVersion: etcdsec.dev/v1alpha1, "+string(key)+": x}\n"))
		for _, line := range g.lines {
			if slices.Contains(line, "--root-key-passphrase-file") {
				continue // it would encrypt, which takes long
			}
			for _, given := range []string{file, file + ".missing"} {
				_, output := runSoon(t, g.with(line, given))
				checkLegible(t, strings.Join(line, " "), output)
			}
		}
	}
}
