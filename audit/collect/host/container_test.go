package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A process with a root of its own, as a container's, is read as it sees its files: its
// configuration, and not the host's of the same path; and what is the same on the host is
// named as there.
func TestProcessWithItsOwnRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may chroot")
	}
	binary, err := etcdtest.Binary(t.Context(), etcdtest.V3_6, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(s.dir, "bin/etcd"), string(data))
	if err := os.Chmod(filepath.Join(s.dir, "bin/etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.data = "/data"
	inside := s
	inside.config(t, "log-level: warn\n")
	if err := os.Symlink("/etcd.conf.yaml", filepath.Join(s.dir, "absolute.yaml")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/etcd", "--config-file=/absolute.yaml")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: s.dir}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by the signal
	})
	var h *host.Host
	var got *audit.Settings
	for deadline := time.Now().Add(2 * time.Minute); ; { // it makes its data dir early on
		if time.Now().After(deadline) {
			t.Fatalf("not found: %+v", h)
		}
		h = look(t, host.Config{})
		at := slices.IndexFunc(h.Etcds, func(e *audit.Settings) bool { return e.Value("name") == s.name })
		if at >= 0 && strings.Contains(strings.Join(describe(h.Etcds[at]), "\n"), "/data drwx") {
			got = h.Etcds[at]
			break
		}
	}
	if got.Value("log-level") != "warn" || got.Values["name"].Source != "config file /absolute.yaml" || len(got.Faults) > 0 || got.Version != etcdtest.V3_6 {
		t.Errorf("got %+v", got)
	}
	for _, f := range got.Files {
		if !strings.HasPrefix(f.Path, "/proc/") || !strings.Contains(f.Path, "/root/") {
			t.Errorf("%s is not the host's", f.Path)
		}
		if _, err := os.Lstat(f.Path); err != nil {
			t.Error(err)
		}
	}
}
