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

// maxStderr is how many bytes of a plugin's standard error an error shows.
const maxStderr = 4 << 10

// output is the output and the exit status of a plugin.
type output struct {
	stdout []byte
	stderr headWriter
	exit   error // the *leash.Error if its exit status is not 0, or nil
}

// describeStderr returns what the plugin wrote to standard error, for the end of an error.
func (o *output) describeStderr() string { return o.stderr.describeStderr() }

// run starts the plugin, gives it a request and waits for its end, and for the end of all that it
// started. An error means that it did not start or was ended.
func (c Config) run(parent context.Context, request []byte) (*output, error) {
	env, err := environment(c.Env)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancelCause(parent)
	defer end(nil)

	var out output
	stdout := limitedWriter{limit: maxResponse, over: func() {
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

// environment returns PATH, HOME and the variables with the given names. It is never nil: with nil,
// os/exec would pass the whole environment of this process.
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
			return nil, fmt.Errorf("the environment variable %q for the plugin is not set", name)
		}
		env = append(env, name+"="+value)
	}
	return env, nil
}

// limitedWriter keeps what is written, up to a limit. A write beyond the limit fails and calls over.
// The buffer is not embedded, because io.Copy would then use its ReadFrom instead of Write.
type limitedWriter struct {
	kept  bytes.Buffer
	limit int
	over  func()
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.kept.Len()+len(p) > l.limit {
		l.over()
		return 0, errors.New("too much output")
	}
	return l.kept.Write(p)
}

// headWriter keeps the beginning of what is written and discards the rest.
type headWriter struct {
	kept bytes.Buffer
	cut  bool
}

func (h *headWriter) Write(p []byte) (int, error) {
	room := min(len(p), maxStderr-h.kept.Len())
	h.kept.Write(p[:room])
	h.cut = h.cut || room < len(p)
	return len(p), nil
}

func (h *headWriter) describeStderr() string {
	text := bytes.TrimSpace(h.kept.Bytes())
	switch {
	case len(text) == 0:
		return ""
	case h.cut:
		return fmt.Sprintf("; it wrote to standard error: %q…", text)
	}
	return fmt.Sprintf("; it wrote to standard error: %q", text)
}
