package failpoint

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain is the program that TestHere kills: it comes by three places and says so.
func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_TEST_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	for range 3 {
		Here()
		_, _ = os.Stdout.WriteString("x")
	}
}

// A process dies at the place whose number is asked for, with the tag, and nowhere without it.
func TestHere(t *testing.T) {
	for at, want := range map[string]string{"": "xxx", "0": "xxx", "no number": "xxx", "1": "", "3": "xx", "4": "xxx"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "FAILPOINT_TEST_PROGRAM=1", "ETCDSEC_FAILPOINT="+at)
		out, err := cmd.Output()
		if !Enabled {
			want = "xxx"
		}
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if killed := status.Signal() == syscall.SIGKILL; killed != (want != "xxx") || (err == nil) == killed || !strings.HasPrefix(string(out), want) || len(out) != len(want) {
			t.Errorf("at %q: %q, killed %t, %v; want %q", at, out, killed, err, want)
		}
	}
}

// Without the tag it costs nothing that could be seen.
func TestHereAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, Here); !Enabled && n != 0 {
		t.Errorf("%v allocations", n)
	}
}
