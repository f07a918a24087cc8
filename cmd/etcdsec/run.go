package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/internal/legible"
)

// Exit statuses, the same for every verb.
const (
	statusDone     = 0 // done, clean
	statusFailed   = 1 // could not do it, or could not tell
	statusUsage    = 2 // bad command line or spec
	statusFindings = 3 // findings, or work due
)

// app holds the streams and the clock of the verbs. Only cmd uses those of the process.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	files          *input.Files // what the command line names; run sets it
}

// statusError ends a verb with an exit status. err is nil if the result on stdout already tells
// everything.
type statusError struct {
	status int
	err    error
	hint   string // a command or line to paste, or empty
}

func (e statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e statusError) Unwrap() error { return e.err }

// usageError returns the error of a bad command line or spec.
func usageError(err error, hint string) error {
	return statusError{status: statusUsage, err: err, hint: hint}
}

// failure returns the error of work that could not be done, with a hint that helps.
func failure(err error, hint string) error {
	return statusError{status: statusFailed, err: err, hint: hint}
}

// run executes one command line and returns the exit status. Only run prints errors.
func run(ctx context.Context, a *app, args []string) int {
	out := &checkedWriter{w: a.stdout}
	inner := *a
	inner.stdout = out
	inner.files = input.NewFiles(ctx, a.stdin, isTerminal(a.stdin))

	root := newRootCommand(&inner) //nolint:contextcheck // each verb gets the context by ExecuteContext
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(out)
	root.SetErr(a.stderr)

	err := root.ExecuteContext(ctx)
	if out.err != nil {
		// A report that was lost to a full disk or a closed pipe must not look delivered,
		// whatever it would have said.
		lost := failure(fmt.Errorf("writing the result: %w", out.err), "")
		if err == nil && errors.Is(out.err, syscall.EPIPE) {
			lost = statusError{status: statusFailed} // who reads, such as head(1), wanted no more
		}
		err = lost
	}
	if err == nil {
		return statusDone
	}
	return report(a.stderr, asUsage(err, args))
}

// report prints err and its hint and returns the exit status that goes with it.
func report(stderr io.Writer, err error) int {
	status, hint := statusFailed, ""
	if se, ok := errors.AsType[statusError](err); ok {
		status, hint = se.status, se.hint
		if se.err == nil {
			return status
		}
	}
	for i, line := range errorLines(err) {
		if i == 0 || !strings.HasPrefix(line, " ") {
			_, _ = fmt.Fprintf(stderr, "etcdsec: error: %s\n", line)
			continue
		}
		_, _ = fmt.Fprintf(stderr, "etcdsec: %s\n", line)
	}
	if hint != "" {
		_, _ = fmt.Fprintf(stderr, "etcdsec: hint: %s\n", legible.Lines(hint))
	}
	return status
}

// checkedWriter remembers the first error, so that a verb need not check every line it prints.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	if err != nil {
		c.err = err
	}
	return n, err
}

// args wraps an argument check of cobra, so that its error names what is missing or too much, and exits
// with statusUsage; cobra has no exit statuses.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		err := check(cmd, given)
		if err == nil {
			return nil
		}
		wanted := placeholders(cmd.Use)
		switch {
		case len(given) < len(wanted):
			err = fmt.Errorf("%s is missing: %s", strings.Join(wanted[len(given):], " and "), cmd.UseLine())
		case len(wanted) > 0 && len(given) > len(wanted):
			err = fmt.Errorf("%q is one argument too many: %s", given[len(wanted)], cmd.UseLine())
		}
		return usageError(err, cmd.CommandPath()+" --help")
	}
}

// placeholders returns the arguments of a usage line that must be given, such as DIR and NAME of
// "sign [-f cluster.yaml] DIR NAME --remote URL [MORE...]".
func placeholders(use string) []string {
	var wanted []string
	depth, value := 0, false // of brackets; whether the word is the value of a flag
	for i, word := range strings.Fields(use) {
		opened := depth
		depth += strings.Count(word, "[") + strings.Count(word, "(") - strings.Count(word, "]") - strings.Count(word, ")")
		flag := strings.HasPrefix(word, "-")
		if i > 0 && opened == 0 && !strings.ContainsAny(word[:1], "[(") && !flag && !value {
			wanted = append(wanted, strings.TrimSuffix(word, "..."))
		}
		value = flag && opened == 0
	}
	return wanted
}
