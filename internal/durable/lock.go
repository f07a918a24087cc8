package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrLocked means that another process has locked the folder.
var ErrLocked = errors.New("another etcdsec is working on it")

// Lock locks a folder for this process until release is called or the process ends. It does
// not wait: if another process has the lock, the error is ErrLocked. A lock file would also
// stop two runs, but it survives a crash and then stops every run; flock ends with the process.
func Lock(dir string) (release func(), err error) {
	d, err := lock(dir)
	if err != nil {
		return nil, err
	}
	return func() { unlock(d) }, nil
}

func lock(dir string) (*os.File, error) {
	opened, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer opened.close()
	d, err := opened.reopen()
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
	return d, nil
}

func unlock(d *os.File) {
	// Unlocked, not only closed: a child that was forked just now holds the lock until
	// it has executed its program.
	_ = syscall.Flock(int(d.Fd()), syscall.LOCK_UN)
	_ = d.Close()
}

// Locks holds the locks of several folders. The zero value holds none.
type Locks struct{ held []*os.File }

// TakeExisting locks those of the folders that exist, as [Lock] does. A folder that it has locked
// before stays locked.
func (l *Locks) TakeExisting(dirs []string) error {
	for _, dir := range dirs {
		if err := l.take(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (l *Locks) take(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	for _, d := range l.held {
		if held, err := d.Stat(); err == nil && os.SameFile(held, info) {
			return nil
		}
	}
	d, err := lock(dir)
	if err == nil {
		l.held = append(l.held, d)
	}
	return err
}

// Release releases all the locks.
func (l *Locks) Release() {
	for _, d := range l.held {
		unlock(d)
	}
	l.held = nil
}
