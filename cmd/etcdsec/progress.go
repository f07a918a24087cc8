package main

import (
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// progress returns a function that shows progress on stderr after the first second. It returns nil
// if stderr is no terminal. Several goroutines may call the function.
func (a *app) progress(verb string) func(done, total int) {
	if !isTerminal(a.stderr) {
		return nil
	}
	started := a.now()
	var mu sync.Mutex
	most := 0
	return func(done, total int) {
		mu.Lock()
		defer mu.Unlock()
		if done <= most || a.now().Sub(started).Seconds() < 1 { // the calls may come out of order
			return
		}
		most = done
		_, _ = fmt.Fprintf(a.stderr, "\r%s %d of %d", verb, most, total)
		if most == total {
			_, _ = fmt.Fprintln(a.stderr)
		}
	}
}

// isTerminal reports whether a reader or writer is a terminal, where somebody may watch or type.
func isTerminal(w any) bool {
	f, ok := w.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	// /dev/null is a character device as well, and nobody is at it.
	err = raw.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		terminal = err == nil
	})
	return err == nil && terminal
}
