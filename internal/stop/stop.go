// Package stop tells a command that somebody wants it to end: by a signal, or because its terminal
// is gone. The command then undoes what it must not leave behind.
package stop

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// ErrTerminalGone is the cause of a context that ends because the terminal of the command is gone.
var ErrTerminalGone = errors.New("the terminal is gone")

// sameWish is the time in which several signals are one wish: timeout(1) sends SIGTERM to the command
// and then to its group, and a shell and the kernel may both send SIGINT.
const sameWish = 200 * time.Millisecond

// Context returns a context that ends with SIGTERM, SIGINT, SIGHUP or SIGQUIT, or when one of the
// files was a terminal that is gone. A later SIGTERM, SIGINT or SIGQUIT kills the process, whatever
// it does. Not every terminal that goes away sends SIGHUP: the shell sends
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
	again := make(chan os.Signal, 1)
	signal.Notify(again, signals...)
	go killAtSecond(again) // it ends with the process
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

// killAtSecond ends the process with the second signal, as if nothing had caught it. A second SIGHUP
// is no wish: both the kernel and a shell send it when a terminal goes away.
func killAtSecond(signals <-chan os.Signal) {
	<-signals
	first := time.Now() //nolint:forbidigo // signals come by the machine's clock
	for s := range signals {
		number, ok := s.(unix.Signal)
		if !ok || number == unix.SIGHUP || time.Since(first) < sameWish {
			continue
		}
		signal.Reset(s)
		_ = unix.Kill(unix.Getpid(), number) // one's own process may be sent anything
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
