package etcdtest

import (
	"os/exec"
	"strings"
	"testing"
)

// Packaged returns the etcd of the distribution, if it is in PATH and of a branch such as "3.4".
// Otherwise both results are empty, and the log of the test has the reason.
func Packaged(t testing.TB, branch string) (path, version string) {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		return "", ""
	}
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Logf("%s --version: %v", path, err)
		return "", ""
	}
	first, _, _ := strings.Cut(string(out), "\n")
	version = strings.TrimPrefix(first, "etcd Version: ")
	if !strings.HasPrefix(version, branch+".") {
		t.Logf("%s is etcd %s, not %s", path, version, branch)
		return "", ""
	}
	return path, version
}
