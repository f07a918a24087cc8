package main

import (
	"fmt"
	"sync"
	"time"
)

// pace returns the percentage, the rate and the time that is left, as a part of a format.
func pace(done, total int, passed time.Duration) string {
	if done <= 0 || total <= 0 || passed <= 0 {
		return ""
	}
	rate := float64(done) / passed.Seconds()
	text := fmt.Sprintf(", %d%%%%, %.1f/s", 100*done/total, rate)
	if done < total {
		text += fmt.Sprintf(", %s left", time.Duration(float64(total-done)/rate*float64(time.Second)).Round(time.Second))
	}
	return text
}

// progress returns a function that shows progress on stderr after the first second, a few times a
// second. format has the two numbers, such as "read %d of %d objects". It returns nil if stderr is no
// terminal. Several goroutines may call the function.
func (a *app) progress(format string) func(done, total int) {
	const patience, step = time.Second, 200 * time.Millisecond
	if !isTerminal(a.stderr) {
		return nil
	}
	started := a.now()
	shown := started
	var mu sync.Mutex
	most := 0
	return func(done, total int) {
		mu.Lock()
		defer mu.Unlock()
		now := a.now()
		if done <= most || now.Sub(started) < patience { // the calls may come out of order
			return
		}
		if now.Sub(shown) < step && done < total {
			return
		}
		most, shown = done, now
		_, _ = fmt.Fprintf(a.stderr, "\r"+format+pace(most, total, now.Sub(started))+"\x1b[K", most, total)
		if most == total {
			_, _ = fmt.Fprintln(a.stderr)
		}
	}
}
