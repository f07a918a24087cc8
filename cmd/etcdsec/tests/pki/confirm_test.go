package pki_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/ptytest"
)

// On a terminal, only a typed yes destroys the keys of the roots.
func TestRootKeyDestroyAsks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	clitest.Expect(t, clitest.StatusDone, "pki", "issue", "-f", writeSpec(t), dir)
	key := filepath.Join(dir, "authorities", "client-root", "ca.key")
	for _, tc := range []struct {
		typed  string
		status int
		stays  bool
	}{
		{"no\n", clitest.StatusFailed, true},
		{"\n", clitest.StatusFailed, true},
		{"\x04", clitest.StatusFailed, true}, // end of input
		{"yes\n", clitest.StatusDone, false},
	} {
		keyboard, screen := ptytest.Open(t)
		cmd := clitest.Command(t, "pki", "renew", dir, "--root-key-destroy")
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = screen, &stderr
		if _, err := keyboard.WriteString(tc.typed); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Run() // the status says it
		if status := cmd.ProcessState.ExitCode(); status != tc.status || !strings.Contains(stderr.String(), "type yes to go on") {
			t.Errorf("%q: status %d, want %d\n%s", tc.typed, status, tc.status, stderr.String())
		}
		if _, err := os.Stat(key); (err == nil) != tc.stays {
			t.Errorf("%q: %s: %v", tc.typed, key, err)
		}
	}
}
