package leash_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/leash"
	"github.com/etcdsec/etcdsec/internal/ptytest"
)

// TestMain makes this binary the supervisor, and with another argument a process that waits
// for a program until it is killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == leash.Argument: // whatever follows, or this binary would run itself
		if leash.Supervise(os.Args[2:]) != nil {
			os.Exit(1)
		}
	case len(os.Args) > 2 && os.Args[1] == "wait-for":
		os.Exit(waitFor(os.Args[2:]))
	default:
		os.Exit(m.Run())
	}
}

func supervisor() []string { return []string{"/proc/self/exe", leash.Argument} }

const (
	long = time.Minute
	most = 1 << 10
)

// run runs a script under supervision, as a library would that knows nothing of it.
func run(ctx context.Context, l *leash.Leash, timeout time.Duration, script string, args ...string) (string, error) {
	line := l.CommandLine(timeout, most, "/bin/sh", append([]string{"-c", script, "sh"}, args...)...)
	var output bytes.Buffer
	var failed error
	err := l.Do(ctx, func() {
		cmd := exec.Command(line[0], line[1:]...) //nolint:gosec,noctx // the leash ends it
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &output, os.Stderr
		failed = cmd.Run()
	})
	if err != nil {
		return "", err
	}
	if failed != nil {
		return "", l.Failure()
	}
	return output.String(), nil
}

func waitFor(args []string) int {
	if slices.Contains(args[1:], "nohup") {
		signal.Notify(make(chan os.Signal, 1), unix.SIGINT) // which is not handed on, as SIG_IGN is
	}
	l, err := leash.New(supervisor())
	if err != nil {
		return 1
	}
	got, err := run(context.Background(), l, long, args[0], args[1:]...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprint(os.Stderr, got)
	return 0
}

func newLeash(t *testing.T) *leash.Leash {
	t.Helper()
	l, err := leash.New(supervisor())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// family is a script whose process, child, orphan and member of another session write their
// IDs to files, and of which none ends by itself or heeds SIGTERM.
const family = `trap '' TERM
note() { echo $1 > "$2.tmp"; mv "$2.tmp" "$2"; }
note $$ "$1/self"
sleep 3600 & note $! "$1/child"
(setsid sh -c 'trap "" TERM; echo $$ > "$1/session.tmp"; mv "$1/session.tmp" "$1/session"; sleep 3601; :' sh "$1" & )
(sleep 3602 & note $! "$1/orphan")
`

var members = []string{"self", "child", "session", "orphan"}

// read returns the process IDs of a family, when all have started.
func read(t *testing.T, dir string) []int {
	t.Helper()
	var pids []int
	for _, name := range members {
		wait(t, name+" starts", func() bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil })
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s", what)
		}
	}
}

// alive reports whether a process runs; one that has ended and is not waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

func wantNone(t *testing.T, pids []int) {
	t.Helper()
	for i, pid := range pids {
		if alive(pid) {
			t.Errorf("%s, process %d, lives on", members[i], pid)
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script, want string
		timeout      time.Duration
		fails        leash.Reason
		says         string
	}{
		"prints":                     {script: `echo hello`, want: "hello\n"},
		"output that a child holds":  {script: `echo hello; sleep 3600 &`, want: "hello\n"},
		"output that a session has":  {script: `echo hello; setsid sleep 3600 &`, want: "hello\n"},
		"exit status":                {script: `echo secret; exit 3`, fails: leash.Exited, says: "exit status 3"},
		"signal":                     {script: `kill -KILL $$`, fails: leash.Signalled, says: "killed"},
		"hangs":                      {script: `echo secret; sleep 3600`, timeout: 200 * time.Millisecond, fails: leash.TimedOut, says: "within 200ms"},
		"hangs and heeds no SIGTERM": {script: `trap '' TERM; sleep 3600; sleep 3600`, timeout: 200 * time.Millisecond, fails: leash.TimedOut, says: "within 200ms"},
		"prints without end":         {script: `while :; do echo secret; done`, fails: leash.TooMuch, says: "more than 1024 bytes"},
		"prints too much at its end": {script: `head -c 1025 /dev/zero`, fails: leash.TooMuch, says: "more than 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := long
			if c.timeout != 0 {
				timeout = c.timeout
			}
			got, err := run(t.Context(), newLeash(t), timeout, c.script)
			if c.fails == "" {
				if err != nil || got != c.want {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			failed, is := errors.AsType[*leash.Error](err)
			if !is || failed.Reason != c.fails || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %s", err, c.fails)
			}
		})
	}
	l := newLeash(t)
	line := l.CommandLine(long, most, filepath.Join(t.TempDir(), "none"))
	if err := l.Do(t.Context(), func() { _ = exec.Command(line[0], line[1:]...).Run() }); err != nil { //nolint:gosec,noctx // the leash ends it
		t.Fatal(err)
	}
	if failed, is := errors.AsType[*leash.Error](l.Failure()); !is || failed.Reason != leash.NotStarted || !strings.Contains(failed.Cause, "no such file") {
		t.Errorf("a program that is not there: %v", l.Failure())
	}
}

// When a deadline or the last caller ends, so does the whole family, before Do returns.
func TestFamilyEnds(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{"cancelled": context.Canceled, "deadline": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, l := t.TempDir(), newLeash(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := run(ctx, l, long, family+"wait; sleep 3600", dir)
				done <- err
			}()
			pids := read(t, dir)
			cancel(cause)
			if err := <-done; !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
			wantNone(t, pids)
		})
	}
	t.Run("the program ends well", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if got, err := run(t.Context(), newLeash(t), long, family+`while ! [ -e "$1/session" ]; do sleep 0.01; done; echo token`, dir); err != nil || got != "token\n" {
			t.Errorf("%q, %v", got, err)
		}
		wantNone(t, read(t, dir))
	})
}

// A program is ended by the last of those who wait for it, and nothing starts afterwards.
func TestLastCallerEndsIt(t *testing.T) {
	t.Parallel()
	dir, l := t.TempDir(), newLeash(t)
	first, cancelFirst := context.WithCancel(t.Context())
	second, cancelSecond := context.WithCancel(t.Context())
	defer cancelSecond()
	release := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = run(first, l, long, family+"wait; sleep 3600", dir) })
	pids := read(t, dir)
	wg.Go(func() { _ = l.Do(second, func() { <-release }) })
	cancelFirst()
	time.Sleep(100 * time.Millisecond) // nothing may happen, so there is nothing to wait for
	if !alive(pids[0]) {
		t.Error("it ends with the first caller, while the second one waits")
	}
	cancelSecond()
	wait(t, "it ends with the second caller", func() bool { return !alive(pids[0]) && !alive(pids[2]) })

	// The call of the second one goes on, but the program that it starts does not.
	line := l.CommandLine(long, most, "/bin/sh", "-c", `echo ran > "$1"`, "sh", filepath.Join(dir, "ran"))
	if err := exec.CommandContext(t.Context(), line[0], line[1:]...).Run(); err == nil { //nolint:gosec // this test
		t.Error("a program starts though nobody waits for it")
	}
	close(release)
	wg.Wait()
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("a program ran though nobody waits for it")
	}
	if got, err := run(t.Context(), l, long, "echo again"); err != nil || got != "again\n" {
		t.Errorf("the next caller: %q, %v", got, err)
	}
}

// However the process that waits ends, alone or with its group, the family ends.
func TestProcessEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(pid int) error{
		"SIGKILL":              func(pid int) error { return unix.Kill(pid, unix.SIGKILL) },
		"SIGTERM":              func(pid int) error { return unix.Kill(pid, unix.SIGTERM) },
		"SIGKILL of the group": func(pid int) error { return unix.Kill(-pid, unix.SIGKILL) },
		"SIGINT of the group":  func(pid int) error { return unix.Kill(-pid, unix.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "wait-for", family+"wait; sleep 3600", dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			// It is at its end when nobody holds this any more.
			held, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pids := read(t, dir)
			if err := end(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, held); err != nil {
				t.Error(err)
			}
			wantNone(t, pids)
			_ = cmd.Wait() // it was killed
		})
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancelCause(t.Context())
	why := errors.New("why it ended")
	end(why)
	noProgram := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(noProgram, []byte("text"), 0o700); err != nil { //nolint:gosec // it looks like a program
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ctx     context.Context
		argv    []string
		session bool
		input   string
		want    string // both outputs
		is      func(error) bool
	}{
		"output":              {argv: []string{"sh", "-c", "echo out; echo err >&2"}, want: "out\nerr\n"},
		"input":               {argv: []string{"cat"}, input: strings.Repeat("x", 1<<20), want: strings.Repeat("x", 1<<20)},
		"input that is left":  {argv: []string{"true"}, input: strings.Repeat("x", 1<<20)},
		"environment":         {argv: []string{"/usr/bin/env"}, want: "A=b\n"},
		"no session":          {argv: []string{"sh", "-c", sessionOfItself}, want: "no\n"},
		"a session":           {argv: []string{"sh", "-c", sessionOfItself}, session: true, want: "yes\n"},
		"output of a failure": {argv: []string{"sh", "-c", "echo out; exit 3"}, want: "out\n", is: isReason(leash.Exited)},
		"left behind":         {argv: []string{"sh", "-c", "echo out; setsid sleep 3600 &"}, want: "out\n"},
		"hangs":               {argv: []string{"sh", "-c", "echo out; setsid sleep 3600"}, want: "out\n", is: isReason(leash.TimedOut)},
		"no such program":     {argv: []string{"leash-no-such-program"}, is: func(err error) bool { return errors.Is(err, exec.ErrNotFound) }},
		"no program at all":   {argv: []string{noProgram}, is: isReason(leash.NotStarted)},
		"ended before":        {ctx: ended, argv: []string{"echo", "out"}, is: func(err error) bool { return errors.Is(err, why) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(c.argv[0], c.argv[1:]...) //nolint:gosec,noctx // the leash ends it
			var output bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = strings.NewReader(c.input), &output, &output, []string{"A=b"}
			ctx := t.Context()
			if c.ctx != nil {
				ctx = c.ctx
			}
			timeout := long
			if name == "hangs" {
				timeout = time.Second
			}
			err := leash.Run(ctx, supervisor(), leash.Program{Cmd: cmd, Timeout: timeout, OwnSession: c.session})
			if c.is == nil && err != nil || c.is != nil && !c.is(err) {
				t.Errorf("got %v", err)
			}
			if output.String() != c.want {
				t.Errorf("printed %.80q, want %.80q", output.String(), c.want)
			}
		})
	}
	if err := leash.Run(t.Context(), nil, leash.Program{Cmd: exec.Command("true"), Timeout: long}); err == nil { //nolint:noctx // it does not start
		t.Error("a program runs without a supervisor")
	}
}

// sessionOfItself is a script that tells whether it leads its session (proc_pid_stat(5), field 6).
const sessionOfItself = `read -r stat < /proc/$$/stat; set -- ${stat##*)}; [ "$4" = $$ ] && echo yes || echo no`

func isReason(want leash.Reason) func(error) bool {
	return func(err error) bool {
		failed, is := errors.AsType[*leash.Error](err)
		return is && failed.Reason == want
	}
}

func TestSupervisorByHand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"@etcdsec-nobody", "kept", "1m", "1024", "/bin/true"}, {"@etcdsec-nobody", "kept", "x", "1024", "/bin/true"}, {"@etcdsec-nobody", "kept", "1m", "x", "/bin/true"}, {"@etcdsec-nobody", "kept", "1m", "1024"}} {
		if err := exec.CommandContext(t.Context(), "/proc/self/exe", append(supervisor()[1:], args...)...).Run(); err == nil { //nolint:gosec // this test
			t.Errorf("%q starts a program", args)
		}
	}
	if _, err := leash.New(nil); err == nil {
		t.Error("a leash without a supervisor is made")
	}
}

// A program that asks has the terminal, and one that is ended while it asks for a password
// does not leave the terminal without echo.
func TestTerminal(t *testing.T) {
	t.Parallel()
	t.Run("asks", func(t *testing.T) {
		t.Parallel()
		keyboard, cmd := atTerminal(t, `printf 'name? ' >&2; read name; printf 'password? ' >/dev/tty; read password </dev/tty; echo "$name and $password"`)
		readUntil(t, keyboard, "name? ")
		if _, err := keyboard.WriteString("alice\n"); err != nil {
			t.Fatal(err)
		}
		readUntil(t, keyboard, "password? ")
		if _, err := keyboard.WriteString("swordfish\n"); err != nil {
			t.Fatal(err)
		}
		readUntil(t, keyboard, "alice and swordfish")
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Run("Ctrl-C without echo", func(t *testing.T) {
		t.Parallel()
		// The process that waits is ended by Ctrl-C too, as a shell's job is; this one stays.
		keyboard, cmd := atTerminal(t, `stty -echo; printf 'password? ' >&2; read password`, "nohup")
		readUntil(t, keyboard, "password? ")
		if echoes(t, keyboard) {
			t.Fatal("the script did not turn the echo off")
		}
		if _, err := keyboard.WriteString("\x03"); err != nil {
			t.Fatal(err)
		}
		readUntil(t, keyboard, "ended by a signal: interrupt")
		if err := cmd.Wait(); err == nil {
			t.Error("a login that was interrupted is none")
		}
		if !echoes(t, keyboard) {
			t.Error("the terminal is left without echo")
		}
	})
}

// atTerminal starts a process that waits for a script at a terminal of its own.
func atTerminal(t *testing.T, script string, args ...string) (*os.File, *exec.Cmd) {
	t.Helper()
	keyboard, screen := ptytest.Open(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{"wait-for", script}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return keyboard, cmd
}

func readUntil(t *testing.T, keyboard *os.File, want string) {
	t.Helper()
	timer := time.AfterFunc(30*time.Second, func() { _ = keyboard.Close() })
	defer timer.Stop()
	var seen []byte
	for !bytes.Contains(seen, []byte(want)) {
		var b [1]byte
		if _, err := keyboard.Read(b[:]); err != nil {
			t.Fatalf("waiting for %q at the terminal, which shows %q: %v", want, seen, err)
		}
		seen = append(seen, b[0])
	}
}

func echoes(t *testing.T, keyboard *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(keyboard.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}
