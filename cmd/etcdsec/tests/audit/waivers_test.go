package audit_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// waiversFile writes a waiver for each of the checks and every target. They expire after some days.
func waiversFile(t *testing.T, days int, checks ...string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: etcdsec.dev/v1alpha1\nkind: Waivers\nwaivers:\n")
	for _, check := range checks {
		fmt.Fprintf(&b, "  - {check: %s, target: \"*\", owner: team, reason: known, ticket: SEC-1, expires: %s}\n",
			check, time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly))
	}
	path := filepath.Join(t.TempDir(), "waivers.yaml")
	clitest.WriteFile(t, path, []byte(b.String()))
	return path
}

func readReport(t *testing.T, stdout string) audit.Report {
	t.Helper()
	r, err := audit.ReadReport(strings.NewReader(stdout))
	if err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return r
}

// On a real member, waivers and thresholds change the exit status and hide nothing.
func TestAuditRunWaived(t *testing.T) {
	client, peer, _ := etcdtest.Plain(t, etcdtest.V3_7)
	audited := func(args ...string) (int, audit.Report, string) {
		status, stdout, stderr := clitest.Run(t, append([]string{"audit", "run", "--timeout", "1m", "--skip", "request-latency", client, "--peer", peer, "-o", "json"}, args...)...)
		return status, readReport(t, stdout), stderr
	}
	status, all, _ := audited()
	if status != clitest.StatusFindings {
		t.Fatalf("exit %d: %+v", status, all.Summary)
	}
	var failed []string
	medium := false
	for _, r := range all.Results {
		if r.Verdict == audit.Fail {
			failed = append(failed, r.CheckID)
			medium = medium || r.Severity == audit.Medium
		}
	}
	if len(failed) < 2 || !medium {
		t.Fatalf("only %q failed", failed)
	}

	status, one, stderr := audited("--waivers", waiversFile(t, 30, failed[0]))
	if status != clitest.StatusFindings || stderr != "" || one.Summary.Waived == 0 || one.Summary.Waived+one.Summary.Fail != all.Summary.Fail {
		t.Errorf("exit %d, %+v: %s", status, one.Summary, stderr)
	}
	status, waived, stderr := audited("--waivers", waiversFile(t, 30, unique(failed)...))
	if status != clitest.StatusDone || stderr != "" || waived.Summary.Fail != 0 || waived.Summary.Waived != all.Summary.Fail {
		t.Errorf("exit %d, %+v: %s", status, waived.Summary, stderr)
	}
	for _, r := range waived.Results {
		if r.Waiver != nil && (r.Verdict != audit.Fail || r.Waiver.Owner != "team" || r.Waiver.Ticket != "SEC-1" || r.Waiver.Reason != "known") {
			t.Errorf("%+v", r)
		}
	}
	status, expired, stderr := audited("--waivers", waiversFile(t, -1, unique(failed)...))
	if status != clitest.StatusFindings || stderr != "" || expired.Summary != all.Summary {
		t.Errorf("exit %d, %+v: %s", status, expired.Summary, stderr)
	}
	for _, r := range expired.Results {
		if r.Verdict == audit.Fail && !strings.Contains(r.Evidence, "its waiver expired on ") {
			t.Errorf("%s: %q", r.CheckID, r.Evidence)
		}
	}
	if status, _, stderr = audited("--waivers", waiversFile(t, 30, "version-vulnerable")); status != clitest.StatusFindings || !strings.Contains(stderr, `the waiver of version-vulnerable for "*" is unused: the check fails on none of its targets`) {
		t.Errorf("exit %d: %s", status, stderr)
	}

	only := []string{"--checks", "metrics-*"} // of medium severity
	if status, r, stderr := audited(append(only, "--fail-on", "high")...); status != clitest.StatusDone || stderr != "" || r.Summary.Fail != 1 || len(r.Results) != 1 {
		t.Errorf("exit %d, %+v: %s", status, r.Summary, stderr)
	}
	if status, _, _ := audited(append(only, "--fail-on", "medium")...); status != clitest.StatusFindings {
		t.Errorf("exit %d", status)
	}
	status, rest, _ := audited("--skip", "metrics-*,version-vulnerable", "--skip", "client-*")
	for _, r := range rest.Results {
		if strings.HasPrefix(r.CheckID, "client-") || strings.HasPrefix(r.CheckID, "metrics-") || r.CheckID == "version-vulnerable" {
			t.Errorf("%s was asked", r.CheckID)
		}
	}
	if status != clitest.StatusFindings || len(rest.Results) == 0 {
		t.Errorf("exit %d: %+v", status, rest.Summary)
	}
}

func unique(ids []string) []string {
	seen := map[string]bool{}
	var once []string
	for _, id := range ids {
		if !seen[id] {
			once = append(once, id)
		}
		seen[id] = true
	}
	return once
}

// The shards of a Job and their merged report say what one audit of all says.
func TestAuditShardsAndMerge(t *testing.T) {
	client, peer, _ := etcdtest.Plain(t, etcdtest.V3_6)
	closed := fmt.Sprintf("127.0.0.2:%d", etcdtest.FreePort(t))
	dir := t.TempDir()
	targets := filepath.Join(dir, "targets.txt")
	clitest.WriteFile(t, targets, fmt.Appendf(nil, "# all\r\n%s\r\npeer=%s\r\n%s cluster=down\r\n", client, peer, closed))
	status, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", "--targets", targets, "-o", "json")
	if status != clitest.StatusFailed || stderr != "" {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	whole := readReport(t, stdout)

	const shards = 4
	var paths []string
	empty := 0
	for i := range shards {
		_, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", "--targets", targets, "--shard", fmt.Sprintf("%d/%d", i, shards), "-o", "json")
		if !strings.Contains(stderr, fmt.Sprintf("shard %d of %d: ", i, shards)) {
			t.Errorf("stderr: %s", stderr)
		}
		r := readReport(t, stdout)
		if r.Shard == nil || r.Shard.Index != i || r.Shard.Count != shards {
			t.Errorf("shard %+v", r.Shard)
		}
		if len(r.Results) == 0 {
			empty++
		}
		path := filepath.Join(dir, fmt.Sprintf("shard-%d.json", i))
		clitest.WriteFile(t, path, []byte(stdout))
		paths = append(paths, path)
	}
	if empty < shards-3 { // two hosts, and the cluster that the first one tells
		t.Errorf("%d of %d shards are empty", empty, shards)
	}
	status, stdout, stderr = clitest.Run(t, append([]string{"audit", "merge", "-o", "json"}, paths...)...)
	merged := readReport(t, stdout)
	if status != clitest.StatusFailed || stderr != "" || merged.Summary != whole.Summary || merged.Shard != nil {
		t.Errorf("exit %d, %+v, want %+v: %s", status, merged.Summary, whole.Summary, stderr)
	}
	wholePath, mergedPath := filepath.Join(dir, "whole.json"), filepath.Join(dir, "merged.json")
	clitest.WriteFile(t, wholePath, mustJSON(t, whole))
	clitest.WriteFile(t, mergedPath, []byte(stdout))
	status, stdout, stderr = clitest.Run(t, "audit", "diff", wholePath, mergedPath)
	if status != clitest.StatusDone || stderr != "" || !strings.Contains(stdout, fmt.Sprintf("nothing is worse: 0 new, 0 changed, 0 unknown, 0 unasked, %d unchanged, 0 fixed", whole.Summary.Fail)) {
		t.Errorf("exit %d: %s%s", status, stdout, stderr)
	}

	// A shard that is missing is status 1, whatever the others say; the report is there all the same.
	status, stdout, stderr = clitest.Run(t, append([]string{"audit", "merge", "-o", "json"}, paths[1:]...)...)
	if readReport(t, stdout); status != clitest.StatusFailed || !strings.Contains(stderr, "shards are missing: 0/4") {
		t.Errorf("exit %d: %s", status, stderr)
	}
	// What was waived in the merge is waived nowhere else.
	var failing []string
	for _, r := range whole.Results {
		if r.Verdict == audit.Fail {
			failing = append(failing, r.CheckID)
		}
	}
	_, stdout, stderr = clitest.Run(t, append([]string{"audit", "merge", "-o", "json", "--waivers", waiversFile(t, 1, unique(failing)...)}, paths...)...)
	if r := readReport(t, stdout); r.Summary.Fail != 0 || r.Summary.Waived != whole.Summary.Fail || stderr != "" {
		t.Errorf("%+v: %s", r.Summary, stderr)
	}
}

func mustJSON(t *testing.T, r audit.Report) []byte {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// SIGTERM, as a Job's Pod gets it at its deadline, leaves a whole report on stdout.
func TestAuditRunSIGTERM(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // it never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, _, _ := etcdtest.Plain(t, etcdtest.V3_6)
	cmd := clitest.Command(t, "audit", "run", client, listener.Addr().String(), "--parallel", "1", "--timeout", "1h", "-o", "json")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// When the second target is asked the first is done.
	c, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(c).ReadByte(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the status is looked at
	_ = c.Close()
	if got := cmd.ProcessState.ExitCode(); got != clitest.StatusFailed {
		t.Errorf("exit %d", got)
	}
	if !strings.Contains(errs.String(), "the audit was interrupted; the checks that did not run are unknown in the report") {
		t.Errorf("stderr: %s", errs.String())
	}
	r, err := audit.ReadReport(io.Reader(&out))
	if err != nil {
		t.Fatal(err)
	}
	if r.Summary.Fail == 0 || r.Summary.Unknown == 0 {
		t.Errorf("got %+v", r.Summary)
	}
	for _, result := range r.Results {
		if interrupted := result.Evidence == audit.Interrupted; result.Target == listener.Addr().String() && !interrupted || result.Target == client && interrupted {
			t.Errorf("%s of %s: %s %q", result.CheckID, result.Target, result.Verdict, result.Evidence)
		}
	}
}
