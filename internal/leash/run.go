package leash

import (
	"cmp"
	"context"
	"os/exec"
	"time"
)

// surroundings names how a supervisor hands on the output and the terminal.
type surroundings string

const (
	kept    surroundings = "kept"    // its output is handed on when it ends well
	direct  surroundings = "direct"  // its output is handed on at once
	session surroundings = "session" // that too, and it has no terminal and gets no signal of one
)

// unlimited stands for the output that is handed on at once: whoever reads it bounds it.
const unlimited = 0

// Program is one that [Run] runs.
type Program struct {
	// Cmd is the program with its arguments, environment and files, as by [exec.Command]. It
	// has no context.
	Cmd *exec.Cmd
	// Timeout is when it is ended.
	Timeout time.Duration
	// OwnSession runs it without the terminal of this process.
	OwnSession bool
}

// Run runs a program and waits until it, and all that it started, have ended. supervisor is as
// [New] wants it. It returns the context's cause if that ended it, an *exec.Error if there is no
// such program, and an *Error if it did not end well. What the program leaves behind is ended.
func Run(ctx context.Context, supervisor []string, p Program) error {
	cmd := p.Cmd
	if cmd.Err != nil {
		return cmd.Err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l, err := New(supervisor)
	if err != nil {
		return err
	}
	defer func() { _ = l.listener.Close() }()
	around := direct
	if p.OwnSession {
		around = session
	}
	argv := append([]string{cmd.Path}, cmd.Args[1:]...)
	line := l.commandLine(around, p.Timeout, unlimited, argv)
	cmd.Path, cmd.Args = line[0], line
	cmd.WaitDelay = lingering // for what could not be ended, such as a process of another user's
	var failed error
	if err := l.Do(ctx, func() { failed = cmd.Run() }); err != nil {
		return err
	}
	if failed == nil {
		return nil
	}
	if cmd.Process == nil {
		return failed
	}
	return cmp.Or(l.Failure(), error(&Error{Reason: Lost}))
}
