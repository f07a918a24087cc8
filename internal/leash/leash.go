// Package leash runs programs, and ends them with everything that they started: at their deadline, when
// nobody waits for them any more, and when this process ends, for any reason.
//
// [Run] runs a program. For one that a library starts without access to it, the library gets the
// [Leash.CommandLine] of a supervisor, which starts the program as its child. The program keeps
// standard input and error, the environment, and the foreground of the terminal. The supervisor is
// this program again, with arguments that only [Supervise] understands, and has a connection to this
// process. When that breaks, it ends all its descendants. It is their subreaper, so these include
// orphans and processes that left their session.
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

// Argument is the first argument of a supervisor. A program that gets it calls [Supervise] with the
// arguments after it, and ends.
const Argument = "supervise-on-leash"

// endPatience is longer than a supervisor needs to end everything.
const endPatience = gentleEnd + forcedEnd + 2*time.Second

// maxOutcome is larger than a supervisor's message about the end of a program.
const maxOutcome = 8 << 10

// Leash controls the programs that are started with its command lines.
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
		return nil, errors.New("the command line of the supervisor is missing")
	}
	// A name without a file leaves nothing behind. Anybody may connect to it; those of other
	// users are hung up on.
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@etcdsec-leash-" + rand.Text()})
	if err != nil {
		return nil, fmt.Errorf("preparing to supervise a program: %w", err)
	}
	return &Leash{supervisor: slices.Clone(supervisor), listener: listener, held: map[*net.UnixConn]struct{}{}}, nil
}

// CommandLine returns the command line that runs a program, given by its path, under supervision. The
// program is ended at the timeout. It may print maxOutput bytes; the caller gets them if it succeeds.
func (l *Leash) CommandLine(timeout time.Duration, maxOutput int64, program string, args ...string) []string {
	return l.commandLine(kept, timeout, maxOutput, append([]string{program}, args...))
}

func (l *Leash) commandLine(s surroundings, timeout time.Duration, maxOutput int64, argv []string) []string {
	return slices.Concat(l.supervisor, []string{l.listener.Addr().String(), string(s), timeout.String(), fmt.Sprint(maxOutput)}, argv)
}

// Do makes a call that may start programs, and waits until it returns or the context ends. If the
// context ends, Do ends the programs, unless another Do waits for them, and returns the cause of the
// context. The call may then continue, but cannot start more programs.
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

// Failure returns the *Error of the program that ended last, or nil if it succeeded.
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

// leave ends the programs if no other caller waits for them, and reports whether that is so.
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

// hold lets one supervisor start its program, if anybody waits for it, and reads how it ended.
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

// credentials returns the process and user at the other end of a connection.
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
