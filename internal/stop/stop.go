// Package stop tells a command that somebody wants it to end: by a signal, or because its terminal
// is gone. The command then undoes what it must not leave behind.
package stop

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// ErrTerminalGone is the cause of a context that ends because the terminal of the command is gone.
var ErrTerminalGone = errors.New("the terminal is gone")

// Context returns a context that ends with SIGTERM, SIGINT, SIGHUP or SIGQUIT, or when one of the
// files was a terminal that is gone. Not every terminal that goes away sends SIGHUP: the shell sends
// it, and not to a process of another session.
//
// Whoever started the command with SIGHUP ignored, as nohup(1) does, wants it to outlive its
// terminal. A shell script starts a command in the background with SIGINT ignored. Both stay so.
//
// A write to a pipe that nobody reads is an error from then on, even on stdout and stderr. By default
// it would end the process before it has undone anything.
//
// Call it once, at the start of a process.
func Context(parent context.Context, files ...*os.File) (context.Context, context.CancelFunc) {
	// Notify, not Ignore: the programs that this one starts would ignore it as well.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	signals := []os.Signal{unix.SIGTERM, unix.SIGQUIT}
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	ctx, end := signal.NotifyContext(parent, signals...)
	if signal.Ignored(unix.SIGHUP) {
		return ctx, end
	}
	terminals := findTerminals(files)
	if len(terminals) == 0 {
		return ctx, end
	}
	ctx, gone := context.WithCancelCause(ctx)
	go func() { // it ends with the process
		waitUntilGone(terminals)
		gone(ErrTerminalGone)
	}()
	return ctx, func() {
		gone(context.Canceled)
		end()
	}
}

// findTerminals returns the descriptors of those files that are terminals.
func findTerminals(files []*os.File) []unix.PollFd {
	var terminals []unix.PollFd
	for _, f := range files {
		raw, err := f.SyscallConn() // Fd would let reads and writes of the file block
		if err != nil {
			continue
		}
		_ = raw.Control(func(fd uintptr) { // fails for a closed file, which is no terminal
			if _, err := unix.IoctlGetTermios(int(fd), unix.TCGETS); err == nil {
				terminals = append(terminals, unix.PollFd{Fd: int32(fd)}) //nolint:gosec // a descriptor is a small number
			}
		})
	}
	return terminals
}

// waitUntilGone returns when one of the terminals is gone.
func waitUntilGone(terminals []unix.PollFd) {
	for {
		// Without events: the end of a terminal is reported all the same, and nothing else.
		n, err := unix.Poll(terminals, -1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
