// Package leash runs programs so that neither a program nor anything that it started outlives
// its deadline, whoever waits for it, or this process, however this process ends.
//
// [Run] runs a program. For one that a library starts, which gives no handle on it, the library
// is handed the [Leash.CommandLine] of a supervisor. The supervisor starts the program as its
// child, which keeps standard input and error, the environment, and the foreground of the
// terminal. It is this program again, with arguments that only [Supervise] understands, and it
// holds a connection to this process. When that breaks, it ends all its descendants; those
// that were orphaned or left their session are still among them, because it is their subreaper.
package leash

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Argument is the first argument of a supervisor. A program whose first argument it is hands
// those that follow to [Supervise] and ends.
const Argument = "supervise-on-leash"

// endPatience is longer than a supervisor takes to end everything.
const endPatience = gentleEnd + forcedEnd + 2*time.Second

// maxOutcome is above what a supervisor says of a program's end.
const maxOutcome = 8 << 10

// Leash holds the programs that are started with its command lines.
type Leash struct {
	supervisor []string
	listener   *net.UnixListener

	mu        sync.Mutex
	calls     int // that may start programs
	waiting   int // callers of those
	accepting bool
	held      map[*net.UnixConn]struct{}
	failure   error
}

// New returns a leash. supervisor is the command line of a program that calls [Supervise], up
// to and including [Argument]; /proc/self/exe is this program.
func New(supervisor []string) (*Leash, error) {
	if len(supervisor) == 0 {
		return nil, errors.New("no program is given that supervises others")
	}
	// A name without a file leaves nothing behind. Anybody may connect to it; those of other
	// users are hung up on.
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@etcdsec-leash-" + rand.Text()})
	if err != nil {
		return nil, fmt.Errorf("preparing to supervise a program: %w", err)
	}
	return &Leash{supervisor: slices.Clone(supervisor), listener: listener, held: map[*net.UnixConn]struct{}{}}, nil
}

// CommandLine returns the command line that runs a program, a path, under supervision. At the
// end of the timeout it is ended. It may print maxOutput bytes, which arrive when it ends well.
func (l *Leash) CommandLine(timeout time.Duration, maxOutput int64, program string, args ...string) []string {
	return l.commandLine(kept, timeout, maxOutput, append([]string{program}, args...))
}

func (l *Leash) commandLine(s surroundings, timeout time.Duration, maxOutput int64, argv []string) []string {
	return slices.Concat(l.supervisor, []string{l.listener.Addr().String(), string(s), timeout.String(), fmt.Sprint(maxOutput)}, argv)
}

// Do makes a call that may start programs, and waits until it returns or the context ends. In
// that case it returns the context's cause, after it has ended the programs, unless another
// Do waits for them. The call may then go on, and can start no more programs.
func (l *Leash) Do(ctx context.Context, call func()) error {
	l.enter()
	returned := make(chan struct{})
	go func() {
		defer l.returnCall()
		call()
		close(returned)
	}()
	select {
	case <-returned:
		l.leave()
		return nil
	case <-ctx.Done():
	}
	if l.leave() {
		select {
		case <-returned:
		case <-time.After(endPatience):
		}
	}
	return context.Cause(ctx)
}

// Failure returns how the last program failed that ended, an *Error, or nil if it ended well.
func (l *Leash) Failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

func (l *Leash) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	l.waiting++
	if l.calls == 1 {
		_ = l.listener.SetDeadline(time.Time{}) // fails only for a closed one
	}
	if !l.accepting {
		l.accepting = true
		go l.accept()
	}
}

// leave ends what the last caller waited for. It reports whether that was the last one.
func (l *Leash) leave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
	if l.waiting > 0 {
		return false
	}
	for conn := range l.held {
		_ = conn.Close()
	}
	return true
}

func (l *Leash) returnCall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls--
	if l.calls == 0 {
		_ = l.listener.SetDeadline(time.Unix(1, 0)) // which ends the wait for supervisors
	}
}

// accept lets supervisors start their programs for as long as there are calls.
func (l *Leash) accept() {
	for {
		conn, err := l.listener.AcceptUnix()
		if err == nil {
			go l.hold(conn)
			continue
		}
		l.mu.Lock()
		if l.calls == 0 {
			l.accepting = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(10 * time.Millisecond) // such as too many open files
		}
	}
}

// hold lets one supervisor start its program, if anybody waits for it, and learns how it ended.
func (l *Leash) hold(conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	peer, err := credentials(conn)
	if err != nil || int(peer.Uid) != os.Geteuid() {
		return
	}
	l.mu.Lock()
	wanted := l.waiting > 0
	if wanted {
		l.held[conn] = struct{}{}
	}
	l.mu.Unlock()
	if !wanted {
		return
	}
	var ended *Error
	if _, err = conn.Write([]byte{start}); err == nil {
		err = json.NewDecoder(io.LimitReader(conn, maxOutcome)).Decode(&ended)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, conn)
	switch {
	case err != nil: // the supervisor died, or this side hung up
		l.failure = &Error{Reason: Lost}
	case ended.Reason == Well:
		l.failure = nil
	default:
		l.failure = ended
	}
}

// credentials returns who is at the other end of a connection.
func credentials(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return peer, errors.Join(err, failed)
}
