package execsigner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/leash"
)

// maxStderr is how much of a plugin's own account an error shows.
const maxStderr = 4 << 10

// output holds what a plugin printed before it ended.
type output struct {
	stdout []byte
	stderr head
	exit   error // the *leash.Error if its exit status is not 0, or nil
}

// describeStderr returns what the plugin wrote to standard error, for the end of an error.
func (o *output) describeStderr() string { return o.stderr.describeStderr() }

// run starts the plugin, hands it a request and waits for its end, and the end of all that it
// started. An error means that it could not be started or was ended.
func (c Config) run(parent context.Context, request []byte) (*output, error) {
	env, err := environment(c.Env)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancelCause(parent)
	defer end(nil)

	var out output
	stdout := limited{limit: maxResponse, over: func() {
		end(fmt.Errorf("the plugin printed more than %d bytes", maxResponse))
	}}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...) //nolint:gosec,noctx // the operator names it, no shell sees it, and the leash ends it
	cmd.Env = env
	cmd.Stdin = bytes.NewReader(request)
	cmd.Stdout, cmd.Stderr = &stdout, &out.stderr
	timeout := cmp.Or(c.Timeout, DefaultTimeout)
	// With the terminal, a plugin that asks for a PIN there would be stopped until the deadline;
	// in a session without one it fails at once.
	err = leash.Run(ctx, c.Supervisor, leash.Program{Cmd: cmd, Timeout: timeout, OwnSession: true})
	ended, _ := errors.AsType[*leash.Error](err)
	switch {
	case parent.Err() != nil:
		return nil, fmt.Errorf("interrupted while the plugin ran: %w%s", context.Cause(parent), out.describeStderr())
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w%s", context.Cause(ctx), out.describeStderr())
	case ended != nil && ended.Reason == leash.TimedOut:
		return nil, fmt.Errorf("the plugin did not end within %s: %w%s", timeout, context.DeadlineExceeded, out.describeStderr())
	case ended != nil && (ended.Reason == leash.Exited || ended.Reason == leash.Signalled):
		out.exit = ended
	case err != nil:
		return nil, fmt.Errorf("running the plugin: %w%s", err, out.describeStderr())
	}
	out.stdout = stdout.kept.Bytes()
	return &out, nil
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
