package leash

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// start is the byte that lets a supervisor start its program.
const start = 's'

const (
	// connectPatience is for a busy process. If the process has ended, the connection fails at once.
	connectPatience = 10 * time.Second
	// gentleEnd is the time from SIGTERM to SIGKILL.
	gentleEnd = 500 * time.Millisecond
	// forcedEnd is the time after SIGKILL until the supervisor gives up on a process, such as a
	// process of another user.
	forcedEnd = 2 * time.Second
	// lingering is how long the output may stay open after everything has ended.
	lingering = time.Second
)

// Supervise runs a program. args are the arguments after [Argument] in a command line of
// [Leash.CommandLine]. It returns when the program and everything that it started have ended. Call it
// first in a process, and end the process afterwards. It returns an error only if it was called by
// hand. The process that made the command line learns how the program ended.
func Supervise(args []string) error {
	// The program is killed at the end of the thread that started it.
	runtime.LockOSThread()
	s, err := newSupervisor(args)
	if err != nil {
		return fmt.Errorf("supervising a program: %w", err)
	}
	defer func() { _ = s.conn.Close() }()
	ended, output := s.run()
	if ended.Reason == Well {
		_, err = os.Stdout.Write(output)
	} else {
		err = ended
	}
	if told := json.NewEncoder(s.conn).Encode(ended); told == nil {
		// The other side hangs up when it has read that.
		_ = s.conn.SetReadDeadline(time.Now().Add(lingering)) //nolint:forbidigo // the kernel's clock
		_, _ = s.conn.Read(make([]byte, 1))
	}
	return err
}

type supervisor struct {
	conn    *net.UnixConn
	around  surroundings
	timeout time.Duration
	most    int64 // of kept
	argv    []string
	group   int // the process group of whoever waits, which has the terminal
	signals chan os.Signal
}

func newSupervisor(args []string) (*supervisor, error) {
	const program = 4
	if len(args) <= program {
		return nil, errors.New("etcdsec calls this itself; it is not for the command line")
	}
	s := &supervisor{argv: args[program:], around: surroundings(args[1]), group: unix.Getpgrp(), signals: make(chan os.Signal, 1)}
	var err error
	if s.timeout, err = time.ParseDuration(args[2]); err != nil {
		return nil, err
	}
	if s.most, err = strconv.ParseInt(args[3], 10, 64); err != nil {
		return nil, err
	}
	signal.Notify(s.signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	// What ends or stops the whole group of whoever waits must not do so to its supervisor.
	if err := unix.Setpgid(0, 0); err != nil {
		return nil, fmt.Errorf("leaving the process group: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	if s.conn, err = connect(args[0]); err != nil {
		return nil, err
	}
	return s, nil
}

// connect waits until the parent allows the program to start.
func connect(address string) (*net.UnixConn, error) {
	deadline := time.Now().Add(connectPatience) //nolint:forbidigo // the kernel's clock
	for {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: address})
		if errors.Is(err, unix.EAGAIN) && time.Now().Before(deadline) { //nolint:forbidigo // the kernel's clock
			time.Sleep(10 * time.Millisecond) // others wait to be let in
			continue
		}
		if err != nil {
			return nil, err
		}
		// Another process may have taken the name of one that ended.
		peer, err := credentials(conn)
		if err == nil && int(peer.Pid) != os.Getppid() {
			err = errors.New("the process that wanted the program has ended")
		}
		if err == nil {
			_ = conn.SetReadDeadline(deadline) // fails only for a closed one
			_, err = io.ReadFull(conn, make([]byte, 1))
		}
		if err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("asking to start the program: %w", err)
		}
		_ = conn.SetReadDeadline(time.Time{})
		return conn, nil
	}
}

// run runs the program to its end, and returns how it ended and what it printed.
func (s *supervisor) run() (*Error, []byte) {
	terminal := readTerminal(s.group)
	output, printed, err := os.Pipe()
	if err != nil {
		return &Error{Reason: NotStarted, Cause: err.Error()}, nil
	}
	stdout := printed
	if s.around != kept {
		stdout = os.Stdout
	}
	// In the group that has the terminal, it may read from it, and Ctrl-C reaches it.
	sys := &syscall.SysProcAttr{Setpgid: true, Pgid: s.group, Pdeathsig: unix.SIGKILL}
	if s.around == session {
		sys = &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}
	}
	process, err := os.StartProcess(s.argv[0], s.argv, &os.ProcAttr{Files: []*os.File{os.Stdin, stdout, os.Stderr}, Sys: sys})
	_ = printed.Close()
	if err != nil {
		_ = output.Close()
		return &Error{Reason: NotStarted, Cause: err.Error()}, nil
	}
	exited, gone := make(chan unix.WaitStatus, 1), make(chan struct{})
	go reap(process.Pid, exited, gone)
	var kept bytes.Buffer
	tooMuch, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		if n, _ := io.Copy(&kept, io.LimitReader(output, s.most+1)); n > s.most {
			close(tooMuch)
		}
	}()
	hungUp := make(chan struct{})
	go func() {
		defer close(hungUp)
		_, _ = s.conn.Read(make([]byte, 1))
	}()

	var ended *Error
	timeout := time.After(s.timeout)
	select {
	case status := <-exited:
		ended = describe(status)
	case <-timeout:
		ended = &Error{Reason: TimedOut, Limit: s.timeout}
	case <-tooMuch:
		ended = &Error{Reason: TooMuch, Most: s.most}
	case <-hungUp:
		ended = &Error{Reason: Ended}
	case <-s.signals:
		ended = &Error{Reason: Ended}
	}
	endDescendants(gone)
	if ended.Reason != Well {
		terminal.restore()
	}
	select {
	case <-read:
	case <-time.After(lingering):
		return &Error{Reason: Lost}, nil
	}
	select {
	case <-tooMuch: // in the moment of its end
		return &Error{Reason: TooMuch, Most: s.most}, nil
	default:
	}
	return ended, kept.Bytes()
}

func describe(status unix.WaitStatus) *Error {
	switch {
	case status.Signaled():
		return &Error{Reason: Signalled, Signal: status.Signal()}
	case status.ExitStatus() != 0:
		return &Error{Reason: Exited, Status: status.ExitStatus()}
	}
	return &Error{Reason: Well}
}

// reap waits for the end of all children, also of adopted orphans. It sends the status of the child
// pid.
func reap(pid int, exited chan<- unix.WaitStatus, gone chan<- struct{}) {
	defer close(gone)
	for {
		var status unix.WaitStatus
		child, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // ECHILD: a subreaper without children has no descendants
		}
		if child == pid {
			exited <- status
		}
	}
}

// terminal is the state of the terminal at standard input. A program that is ended while it asks for a
// password leaves the terminal without echo.
type terminal struct {
	group int
	state *unix.Termios // nil without a terminal
}

func readTerminal(group int) terminal {
	state, err := unix.IoctlGetTermios(unix.Stdin, unix.TCGETS)
	if err != nil {
		return terminal{}
	}
	return terminal{group: group, state: state}
}

// restore resets the terminal, unless another process group has it now.
func (t terminal) restore() {
	if t.state == nil {
		return
	}
	if holder, err := unix.IoctlGetInt(unix.Stdin, unix.TIOCGPGRP); err != nil || holder != t.group {
		return
	}
	signal.Ignore(unix.SIGTTOU) // the supervisor is in the background
	_ = unix.IoctlSetTermios(unix.Stdin, unix.TCSETS, t.state)
}
