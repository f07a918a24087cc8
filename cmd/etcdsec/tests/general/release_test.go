package general_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// What `make build` builds has none of the tests' build tags: no clock that the environment
// moves, and no place to be killed at.
func TestReleaseIgnoresTestVariables(t *testing.T) {
	root := filepath.Join("..", "..", "..", "..")
	recipe, err := exec.CommandContext(t.Context(), "make", "-n", "-C", root, "build").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, recipe)
	}
	line := regexp.MustCompile(`(?m)^.*go build .*\./cmd/etcdsec$`).Find(recipe)
	if line == nil || strings.Contains(string(line), "tags") {
		t.Fatalf("make build: %q", recipe)
	}
	dir := t.TempDir()
	binary, spec := filepath.Join(dir, "etcdsec"), filepath.Join(dir, "cluster.yaml")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	clitest.WriteFile(t, spec, []byte(clitest.OneMemberSpec))
	store := filepath.Join(dir, "store")
	run := func(path string, args ...string) (status int, output string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = append(clitest.Environ(), clitest.DaysVariable+"=4000", "ETCDSEC_FAILPOINT=1")
		out, _ := cmd.CombinedOutput() // the status is looked at
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if status, out := run(binary, "pki", "issue", "-f", spec, store); status != clitest.StatusDone {
		t.Fatalf("killed, or something else: status %d\n%s", status, out)
	}
	if status, out := run(binary, "pki", "status", store); status != clitest.StatusDone {
		t.Errorf("the release binary: status %d\n%s", status, out)
	}
	if status, out := run(clitest.Binary(t), "pki", "status", store); status != clitest.StatusFindings {
		t.Errorf("the tests' binary, years later: status %d\n%s", status, out)
	}
}
