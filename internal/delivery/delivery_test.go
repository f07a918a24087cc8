package delivery_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/delivery"
	"github.com/etcdsec/etcdsec/internal/leash"
)

const deliverArgument = "deliver-until-killed"

// TestMain makes this binary the supervisor too, and a process that delivers until it is killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == leash.Argument: // whatever follows, or this binary would run itself
		if leash.Supervise(os.Args[2:]) != nil {
			os.Exit(1)
		}
	case len(os.Args) > 1 && os.Args[1] == deliverArgument:
		command := delivery.Command{Argv: append([]string{"sh", "-c", family, "sh"}, os.Args[2:]...), Supervisor: supervisor()}
		if command.Run(context.Background(), "etcd-0", values{}) != nil {
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

func supervisor() []string { return []string{"/proc/self/exe", leash.Argument} }

type values = map[string]string

func TestRun(t *testing.T) {
	t.Parallel()
	v := values{"Bundle": "/store/nodes/etcd-0", "Address": "10.0.0.11"}
	var told []string
	command := delivery.Command{Argv: []string{"test", "{{.Bundle}} root@{{.Address}}", "=", "/store/nodes/etcd-0 root@10.0.0.11"}, Supervisor: supervisor(), Narrate: func(format string, _ ...any) { told = append(told, format) }}
	if err := command.Run(t.Context(), "etcd-0", v); err != nil {
		t.Error(err)
	}
	if len(told) != 1 {
		t.Errorf("told %q", told)
	}
	// What a shell would act on is an argument like any other.
	if err := (delivery.Command{Argv: []string{"test", "{{.Address}}", "=", "$(reboot); `reboot`"}, Supervisor: supervisor()}).Run(t.Context(), "etcd-0", values{"Address": "$(reboot); `reboot`"}); err != nil {
		t.Error(err)
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		argv []string
		want string
		is   func(error) bool
	}{
		"exit status":         {[]string{"sh", "-c", "echo no room >&2; exit 3"}, "etcd-0: sh: it ended with exit status 3: no room", is[*leash.Error]},
		"no program":          {[]string{"no-such-program"}, "etcd-0: no-such-program: ", is[*exec.Error]},
		"empty":               {nil, "etcd-0: no program", nil},
		"unknown placeholder": {[]string{"true", "{{.Secret}}"}, "Secret", nil},
		"no template":         {[]string{"true", "{{"}, "etcd-0: ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := (delivery.Command{Argv: c.argv, Supervisor: supervisor()}).Run(t.Context(), "etcd-0", values{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if c.is != nil && !c.is(err) {
				t.Errorf("the cause of %v is lost", err)
			}
		})
	}
}

func is[E error](err error) bool {
	_, found := errors.AsType[E](err)
	return found
}

// family is a script whose members hold a FIFO for as long as they live: the program, a child, an
// orphan and one that left the session. None heeds SIGTERM.
const family = `trap '' TERM; exec 9>"$1"
sleep 3600 & (sleep 3601 & ); setsid sh -c 'trap "" TERM; sleep 3602; :' &
echo ready >&9; sleep 3603; :`

// lifeline returns a FIFO, and a function that waits until the family has it, and one until all
// of it is gone.
func lifeline(t *testing.T) (path string, ready, gone func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // so that nobody waits for a reader
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	if err := held.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	ready = func() {
		t.Helper()
		for {
			n, err := held.Read(make([]byte, len("ready\n")))
			if n > 0 {
				return
			}
			if !errors.Is(err, io.EOF) { // nobody has opened it yet
				t.Fatalf("waiting for the program: %v", err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	gone = func() {
		t.Helper()
		if _, err := io.Copy(io.Discard, held); err != nil {
			t.Errorf("something that the program started lives on: %v", err)
		}
	}
	return path, ready, gone
}

// A program that hangs ends by the deadline, with all that it started.
func TestDeadline(t *testing.T) {
	t.Parallel()
	path, ready, gone := lifeline(t)
	err := (delivery.Command{Argv: []string{"sh", "-c", family, "sh", path}, Supervisor: supervisor(), Timeout: 2 * time.Second}).Run(t.Context(), "etcd-0", values{})
	if failed, is := errors.AsType[*leash.Error](err); !is || failed.Reason != leash.TimedOut || !strings.Contains(err.Error(), "etcd-0: sh: it did not end within 2s") {
		t.Errorf("got %v", err)
	}
	ready()
	gone()
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	path, ready, gone := lifeline(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		failed <- (delivery.Command{Argv: []string{"sh", "-c", family, "sh", path}, Supervisor: supervisor()}).Run(ctx, "etcd-0", values{})
	}()
	ready()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	gone()
	if err := (delivery.Command{Argv: []string{"touch", filepath.Join(t.TempDir(), "ran")}, Supervisor: supervisor()}).Run(ctx, "etcd-0", values{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What a program that ends well leaves behind ends with it.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	path, ready, gone := lifeline(t)
	script := strings.TrimSuffix(family, "sleep 3603; :")
	if err := (delivery.Command{Argv: []string{"sh", "-c", script, "sh", path}, Supervisor: supervisor()}).Run(t.Context(), "etcd-0", values{}); err != nil {
		t.Error(err)
	}
	ready()
	gone()
}

// When the process that delivers is killed, nothing of the program is left.
func TestKilled(t *testing.T) {
	t.Parallel()
	path, ready, gone := lifeline(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, deliverArgument, path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	gone()
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	err := (delivery.Command{Argv: []string{"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 1"}, Supervisor: supervisor()}).Run(t.Context(), "etcd-0", values{})
	failed, is := errors.AsType[*delivery.Error](err)
	if !is || len(failed.Output) != 2<<10 {
		t.Errorf("keeps %d bytes", len(failed.Output))
	}
}
