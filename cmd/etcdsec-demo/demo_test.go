package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/pastetest"
)

// The demo is the product's main job, so it is run as its users run it: with the etcdsec
// binary, on real members.
func TestDemo(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "etcdsec")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../etcdsec")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := filepath.Join(t.TempDir(), "demo")
	for _, version := range []string{etcdtest.V3_6, etcdtest.V3_7} { // the second run replaces the first one's folder
		var stdout, stderr bytes.Buffer
		d := demo{stdout: &stdout, stderr: &stderr, now: time.Now, etcdsec: binary, version: version}
		if err := d.run(t.Context(), dir); err != nil {
			t.Fatalf("etcd %s: %v\n%s", version, err, stderr.String())
		}
		out := stdout.String()
		for _, want := range []string{
			"clean: 10 targets", " 0 fail, 0 unknown", "FAIL critical client-plaintext", "FAIL critical client-anonymous-read",
			"FAIL critical peer-plaintext", "Members stopped.",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("etcd %s: no %q in:\n%s", version, want, out)
			}
		}
		fixes := 0
		for line := range strings.Lines(out) {
			if fix, found := strings.CutPrefix(line, "     fix      "); found {
				fixes++
				if fault := pastetest.Fault(t, strings.TrimSpace(fix)); fault != "" {
					t.Errorf("etcd %s: %q: %s", version, fix, fault)
				}
			}
		}
		if fixes != maxFindings {
			t.Errorf("etcd %s: %d fixes in:\n%s", version, fixes, out)
		}
		if lines := strings.Count(out, "\n"); lines > 45 {
			t.Errorf("%d lines do not fit one screen", lines)
		}
		if pids := findRunning(dir); len(pids) > 0 {
			t.Errorf("still running: %v", pids)
		}
	}
}

// A folder that no demo made is left alone.
func TestForeignFolder(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(kept, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := demo{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, now: time.Now, etcdsec: "etcdsec", version: etcdtest.V3_6}
	if err := d.run(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "no earlier demo made it") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}
