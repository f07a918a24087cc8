package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// etcdsec runs a command line in this process.
func etcdsec(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
	status = run(t.Context(), a, args)
	return status, out.String(), errs.String()
}

// A certificate that is not valid yet is refused by the clock that the verb was given.
func TestAuditRunClock(t *testing.T) {
	id := clitest.NewIdentity(t, time.Time{})
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: func() time.Time { return time.Now().Add(-1000 * time.Hour) }}
	status := run(t.Context(), a, []string{"audit", "run", "127.0.0.1:1", "--cert", id.Cert, "--key", id.Key})
	if status != statusFailed || !strings.Contains(errs.String(), "not valid before") {
		t.Errorf("exit %d: %s", status, errs.String())
	}
}

// An audit that is interrupted reports what it did, and all else as unknown.
func TestAuditRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
	status := run(ctx, a, []string{"audit", "run", "127.0.0.1:1", "-o", "json"})
	if status != statusFailed || !strings.Contains(errs.String(), "the audit was interrupted") {
		t.Errorf("exit %d: %s", status, errs.String())
	}
	report, err := audit.ReadReport(&out)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Results) == 0 {
		t.Error("no results")
	}
	for _, r := range report.Results {
		asked := r.CheckID != "snapshot-age" // it is about a folder, which was not given
		if asked && (r.Verdict != audit.Unknown || r.Evidence != audit.Interrupted) {
			t.Errorf("%s %s on %s: %s", r.Verdict, r.CheckID, r.Target, r.Evidence)
		}
	}
}

func TestAuditList(t *testing.T) {
	status, stdout, stderr := etcdsec(t, "audit", "list")
	if status != statusDone || stderr != "" {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	if want := len(allChecks()) + 1; strings.Count(stdout, "\n") != want {
		t.Errorf("%d lines, want %d: %s", strings.Count(stdout, "\n"), want, stdout)
	}
	status, stdout, _ = etcdsec(t, "audit", "list", "-o", "json")
	var checks []map[string]any
	if err := json.Unmarshal([]byte(stdout), &checks); err != nil || status != statusDone || len(checks) != len(allChecks()) {
		t.Errorf("exit %d, %v: %s", status, err, stdout)
	}
	if status, _, _ = etcdsec(t, "audit", "list", "extra"); status != statusUsage {
		t.Errorf("exit %d for an argument", status)
	}
}

func TestAuditExplain(t *testing.T) {
	checks := allChecks()
	if len(checks) == 0 {
		t.Fatal("no checks")
	}
	for _, c := range checks {
		status, stdout, stderr := etcdsec(t, "audit", "explain", c.ID)
		if status != statusDone || stderr != "" {
			t.Errorf("%s: exit %d: %s", c.ID, status, stderr)
		}
		for _, want := range append([]string{c.Title, string(c.Severity), c.Rationale, c.Method}, c.References...) {
			if !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
				t.Errorf("%s: %q is not in %s", c.ID, want, stdout)
			}
		}
	}
	status, stdout, stderr := etcdsec(t, "audit", "explain", "cert-expiri")
	if status != statusUsage || stdout != "" || !strings.Contains(stderr, "hint: etcdsec audit explain cert-expiry") {
		t.Errorf("exit %d: %s%s", status, stdout, stderr)
	}
	if status, _, _ := etcdsec(t, "audit", "explain"); status != statusUsage {
		t.Errorf("exit %d without an ID", status)
	}
}
