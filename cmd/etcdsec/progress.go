package main

import (
	"fmt"
	"os"
	"sync"
)

// progress counts on stderr, only on a terminal, only when something is slow enough to
// be waited for. The returned function may be called from several goroutines.
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

// isTerminal says whether a writer is a character device that somebody may be watching.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
