package stop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/ptytest"
)

// asCommand makes the test's binary a command that waits for its end.
const asCommand = "ETCDSEC_TEST_STOP"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(waitForEnd())
	}
	// What nohup or the background of a script had this process ignore, its commands would ignore too.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	os.Exit(m.Run())
}

// waitForEnd says that it is up, waits until it is to end, and says why on descriptor 3.
func waitForEnd() int {
	out := os.NewFile(3, "out")
	ctx, end := Context(context.Background(), os.Stdin, os.Stdout, os.Stderr)
	defer end()
	if _, err := fmt.Fprintln(out, "up"); err != nil {
		return 2
	}
	if os.Getenv(asCommand) == "busy" {
		<-ctx.Done()
		_, _ = fmt.Fprintln(out, "busy")
		select {} // it never looks up
	}
	if os.Getenv(asCommand) == "read" {
		_, err := io.ReadAll(NewInput(ctx, os.Stdin))
		_, _ = fmt.Fprintln(out, "read:", err)
		return 0
	}
	<-ctx.Done()
	_, onPipe := fmt.Println("still here")
	_, _ = fmt.Fprintf(out, "%v, pipe closed: %t\n", context.Cause(ctx), errors.Is(onPipe, syscall.EPIPE))
	return 0
}

// command is a running waitForEnd.
type command struct {
	*exec.Cmd

	says *bufio.Reader
}

func start(t *testing.T, shell, what string, stdin, stdout *os.File) command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	cmd := exec.CommandContext(t.Context(), "sh", "-c", shell+`exec "$0"`, self)
	cmd.Env = append(os.Environ(), asCommand+"="+what)
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stdin, cmd.Stdout = stdin, stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_ = w.Close()
	c := command{cmd, bufio.NewReader(r)}
	c.wants(t, "up")
	return c
}

func (c command) wants(t *testing.T, want string) {
	t.Helper()
	got, err := c.says.ReadString('\n')
	if err != nil || !strings.HasPrefix(got, want) {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// closedPipe returns the end of a pipe whose other end is closed.
func closedPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// Every signal that ends a command lets it undo what it did, even if nobody reads what it says.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			c := start(t, "", "wait", nil, closedPipe(t))
			if err := c.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			c.wants(t, s.String()+" signal received, pipe closed: true")
		})
	}
}

// A command that does not end with the first signal is killed by a second one; by SIGHUP it is not,
// which a terminal that goes away sends twice.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			c := start(t, "", "busy", nil, nil)
			if err := c.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			c.wants(t, "busy")
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			for {
				if err := c.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
				select {
				case <-ended:
					if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != s && status.ExitStatus() != 2 {
						t.Errorf("it ended with %v", c.ProcessState)
					}
					return
				case <-time.After(sameWish / 4): // several at once are one wish
				}
			}
		})
	}
}

// A terminal that is gone ends the command, although the command is of another session and so gets no
// signal.
func TestTerminalGone(t *testing.T) {
	t.Parallel()
	for _, stdin := range []bool{true, false} {
		keyboard, screen := ptytest.Open(t)
		in, out := screen, closedPipe(t)
		if !stdin {
			in, out = nil, screen
		}
		c := start(t, "", "wait", in, out)
		_ = screen.Close()
		_ = keyboard.Close()
		c.wants(t, ErrTerminalGone.Error())
	}
}

// Who starts a command with nohup wants it to go on.
func TestIgnored(t *testing.T) {
	t.Parallel()
	keyboard, screen := ptytest.Open(t)
	c := start(t, "trap '' HUP INT; ", "wait", screen, closedPipe(t))
	_ = screen.Close()
	_ = keyboard.Close()
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
		if err := c.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	c.wants(t, "terminated signal received, pipe closed: true")
}

// A command that reads a terminal where nobody types ends all the same.
func TestInput(t *testing.T) {
	t.Parallel()
	_, screen := ptytest.Open(t)
	c := start(t, "", "read", screen, nil)
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	c.wants(t, "read: ")

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = w.WriteString(strings.Repeat("line\n", 10000))
		_ = w.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in := NewInput(ctx, r)
	if data, err := io.ReadAll(in); err != nil || len(data) != 50000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	cancel()
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
