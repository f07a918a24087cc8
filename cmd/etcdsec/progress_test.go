package main

import (
	"bufio"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/ptytest"
)

// Progress is shown to a terminal, from the first second on and not with every call.
func TestProgress(t *testing.T) {
	keyboard, screen := ptytest.Open(t)
	at := time.Unix(0, 0)
	a := app{stderr: screen, now: func() time.Time { return at }}
	show := a.progress("read %d of %d objects")
	for _, call := range []struct {
		after       time.Duration
		done, total int
	}{
		{500 * time.Millisecond, 1, 9}, // too early
		{time.Second, 2, 9},
		{50 * time.Millisecond, 3, 9}, // too soon after the last one
		{time.Second, 5, 9},
		{time.Second, 4, 9}, // came out of order
		{time.Millisecond, 9, 9},
	} {
		at = at.Add(call.after)
		show(call.done, call.total)
	}
	line, err := bufio.NewReader(keyboard).ReadString('\n')
	if want := "\rread 2 of 9 objects, 22%, 1.3/s, 5s left\x1b[K\rread 5 of 9 objects, 55%, 2.0/s, 2s left\x1b[K\rread 9 of 9 objects, 100%, 2.5/s\x1b[K\r\n"; err != nil || line != want {
		t.Errorf("%v, got %q, want %q", err, line, want)
	}
	if quiet := (&app{stderr: &bufio.Writer{}, now: a.now}).progress("read %d of %d objects"); quiet != nil {
		t.Error("progress is shown where there is no terminal")
	}
}
