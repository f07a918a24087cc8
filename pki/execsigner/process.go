package execsigner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// maxStderr is how much of a plugin's own account an error shows.
	maxStderr = 4 << 10

	// lingering is how long the output may stay open after the plugin itself has exited.
	lingering = 2 * time.Second
)

// output holds what a plugin printed before it ended.
type output struct {
	stdout []byte
	stderr head
	exit   error // why its exit status is not 0, or nil
}

// describeStderr returns what the plugin wrote to standard error, for the end of an error.
func (o *output) describeStderr() string { return o.stderr.describeStderr() }

// run starts the plugin, hands it a request and waits for its end. An error means that it
// could not be started, was killed, or left its output open.
func (c Config) run(parent context.Context, request []byte) (*output, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	env, err := environment(c.Env)
	if err != nil {
		return nil, err
	}
	timed, stop := context.WithTimeoutCause(parent, timeout, fmt.Errorf("the plugin did not end within %s: %w", timeout, context.DeadlineExceeded))
	defer stop()
	ctx, kill := context.WithCancelCause(timed)
	defer kill(nil)

	var out output
	stdout := limited{limit: maxResponse, over: func() {
		kill(fmt.Errorf("the plugin printed more than %d bytes", maxResponse))
	}}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...) //nolint:gosec // the operator names the plugin; no shell sees it
	cmd.Env = env
	cmd.Stdin = bytes.NewReader(request)
	cmd.Stdout, cmd.Stderr = &stdout, &out.stderr
	// A session of its own is also a process group of its own. With a group alone, a plugin
	// that asks for a PIN on the terminal would be stopped there until the deadline; without
	// a terminal it fails at once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = lingering

	err = cmd.Run()
	if err != nil && cmd.Process != nil {
		// Whatever it started may live on, and hold the output open. Linux gives process
		// numbers out in turn, so this one is not another's yet.
		_ = killGroup(cmd)
	}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case parent.Err() != nil:
		return nil, fmt.Errorf("interrupted while the plugin ran: %w%s", context.Cause(parent), out.describeStderr())
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w%s", context.Cause(ctx), out.describeStderr())
	case errors.Is(err, exec.ErrWaitDelay):
		return nil, fmt.Errorf("the plugin exited, and a process that it started holds its output open%s", out.describeStderr())
	case exited:
		out.exit = exit
	case err != nil:
		return nil, fmt.Errorf("running the plugin: %w%s", err, out.describeStderr())
	}
	out.stdout = stdout.kept.Bytes()
	return &out, nil
}

func killGroup(cmd *exec.Cmd) error {
	err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// environment returns PATH, HOME and the variables of the given names. It is never nil, which
// os/exec takes for the whole environment of this process.
func environment(names []string) ([]string, error) {
	env := []string{}
	for _, name := range []string{"PATH", "HOME"} {
		if value, ok := os.LookupEnv(name); ok && !slices.Contains(names, name) {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range names {
		value, ok := os.LookupEnv(name)
		if !ok || strings.Contains(name, "=") {
			return nil, fmt.Errorf("the environment variable %q, which the plugin is to be given, is not set", name)
		}
		env = append(env, name+"="+value)
	}
	return env, nil
}

// limited keeps what is written up to a limit. The write that passes it fails, and says so.
// The buffer is no embedded one, whose ReadFrom io.Copy would prefer to Write.
type limited struct {
	kept  bytes.Buffer
	limit int
	over  func()
}

func (l *limited) Write(p []byte) (int, error) {
	if l.kept.Len()+len(p) > l.limit {
		l.over()
		return 0, errors.New("too much output")
	}
	return l.kept.Write(p)
}

// head keeps the beginning of what is written and takes the rest for nothing.
type head struct {
	kept bytes.Buffer
	cut  bool
}

func (h *head) Write(p []byte) (int, error) {
	room := min(len(p), maxStderr-h.kept.Len())
	h.kept.Write(p[:room])
	h.cut = h.cut || room < len(p)
	return len(p), nil
}

func (h *head) describeStderr() string {
	text := bytes.TrimSpace(h.kept.Bytes())
	switch {
	case len(text) == 0:
		return ""
	case h.cut:
		return fmt.Sprintf("; it wrote to standard error: %q…", text)
	}
	return fmt.Sprintf("; it wrote to standard error: %q", text)
}
