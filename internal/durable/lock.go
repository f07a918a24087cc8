package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrLocked means that another process has locked the folder.
var ErrLocked = errors.New("another etcdsec is working on it")

// Lock locks a folder for this process until release is called or the process ends. It does
// not wait: if another process has the lock, the error is ErrLocked. A lock file would also
// stop two runs, but it survives a crash and then stops every run; flock ends with the process.
func Lock(dir string) (release func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = d.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() {
		// Unlocked, not only closed: a child that was forked just now holds the lock until
		// it has executed its program.
		_ = syscall.Flock(int(d.Fd()), syscall.LOCK_UN)
		_ = d.Close()
	}, nil
}
