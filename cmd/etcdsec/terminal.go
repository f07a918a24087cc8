package main

import (
	"io"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/internal/legible"
)

// page returns the writer of text for people on stdout: it is legible, and wraps at the width of stdout.
func (a *app) page() io.Writer {
	return layout.NewWriter(legible.NewWriter(a.stdout), a.width())
}

// width returns the number of columns of stdout: those of COLUMNS if it is set, else those of the terminal.
// It returns 0 if stdout is a file or a pipe, and layout.Default for a terminal that does not tell.
func (a *app) width() int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	width := 0
	onTerminal(a.out(), func(fd int) {
		width = layout.Default
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			width = int(size.Col)
		}
	})
	return width
}

// out returns stdout itself, without the writer that remembers its errors.
func (a *app) out() io.Writer {
	if checked, ok := a.stdout.(*checkedWriter); ok {
		return checked.w
	}
	return a.stdout
}

// isTerminal reports whether a reader or writer is a terminal, where somebody may watch or type.
func isTerminal(w any) bool { return onTerminal(w, func(int) {}) }

// onTerminal calls do with the descriptor of a reader or writer if that is a terminal, and reports whether
// it is.
func onTerminal(w any, do func(fd int)) bool {
	f, ok := w.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = raw.Control(func(fd uintptr) {
		// /dev/null is a character device as well, and nobody is at it.
		if _, err := unix.IoctlGetTermios(int(fd), unix.TCGETS); err == nil {
			terminal = true
			do(int(fd))
		}
	})
	return err == nil && terminal
}
