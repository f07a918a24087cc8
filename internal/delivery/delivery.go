// Package delivery runs the program with which an operator brings files to a machine, or
// restarts what runs there. The program is an argument vector with placeholders; no shell
// sees it.
package delivery

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/leash"
	"github.com/etcdsec/etcdsec/internal/placeholder"
)

// Command is a program of the operator's.
type Command struct {
	// Argv is the program and its arguments, with placeholders such as {{.Address}}.
	Argv []string
	// Timeout ends the program; zero is a minute.
	Timeout time.Duration
	// Supervisor is the command line that runs the program, as [leash.Run] wants it, so that
	// nothing that it started outlives it.
	Supervisor []string
	// Narrate is told each program before it runs; nil tells nobody.
	Narrate func(format string, args ...any)
}

const (
	defaultTimeout = time.Minute
	maxOutput      = 2 << 10
)

// Error means that a program did not end well.
type Error struct {
	Node    string
	Program string
	Output  string // the beginning of what it printed
	// Cause is a *leash.Error, an *exec.Error if there is no such program, or the cause of the
	// context that ended it.
	Cause error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s: %v", e.Node, e.Program, e.Cause)
	if e.Output != "" {
		text += ": " + e.Output
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// Run runs the program for a node and waits for its end. What the program leaves behind ends too.
// values has a value for each placeholder.
func (c Command) Run(ctx context.Context, node string, values map[string]string) error {
	argv, err := Expand(c.Argv, values)
	if err != nil {
		return fmt.Errorf("%s: %w", node, err)
	}
	if c.Narrate != nil {
		c.Narrate("running %s", strings.Join(argv, " "))
	}
	output := &boundedWriter{most: maxOutput}
	program := exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // the operator names it, no shell sees it, and the leash ends it
	program.Stdout, program.Stderr = output, output
	err = leash.Run(ctx, c.Supervisor, leash.Program{Cmd: program, Timeout: cmp.Or(c.Timeout, defaultTimeout)})
	if err == nil {
		return nil
	}
	return &Error{Node: node, Program: argv[0], Output: strings.TrimSpace(strings.ToValidUTF8(output.kept.String(), "?")), Cause: err}
}

// Expand puts values into the placeholders of an argument vector.
func Expand(argv []string, values map[string]string) ([]string, error) {
	if len(argv) == 0 {
		return nil, fmt.Errorf("no program is named")
	}
	expanded := make([]string, len(argv))
	for i, arg := range argv {
		var err error
		if expanded[i], err = placeholder.Expand(arg, values); err != nil {
			return nil, err
		}
	}
	return expanded, nil
}

// boundedWriter keeps the first bytes and drops the others without an error.
type boundedWriter struct {
	kept bytes.Buffer
	most int
}

func (w *boundedWriter) Write(p []byte) (int, error) {
	if room := w.most - w.kept.Len(); room > 0 {
		w.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
