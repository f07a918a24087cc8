package durable

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// tmpSuffix is the suffix of the temporary files of WriteFile, which are hidden.
const tmpSuffix = ".tmp"

// randomLength is the number of random letters in the name of a temporary file.
const randomLength = 8

// temporaryName returns a new name for a temporary file: ".NAME.RANDOM.tmp".
func temporaryName(name string) string {
	return "." + name + "." + rand.Text()[:randomLength] + tmpSuffix
}

// IsTemporary reports whether a file has the name of a temporary file of [WriteFile].
func IsTemporary(name string) bool {
	at := len(name) - len(tmpSuffix) - randomLength
	if at < len(".x.") || !strings.HasPrefix(name, ".") || !strings.HasSuffix(name, tmpSuffix) || name[at-1] != '.' {
		return false
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // of rand.Text
	return strings.Trim(name[at:at+randomLength], alphabet) == ""
}

// RemoveTemporary removes the temporary files that killed runs left in a folder. It leaves those that
// a running process is writing, which has them locked.
func RemoveTemporary(dir string) error {
	d, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer d.close()
	return d.removeTemporaries(IsTemporary)
}

// removeTemporary removes what killed runs left of one file. Former releases had no random part.
func (d *folder) removeTemporary(name string) error {
	return d.removeTemporaries(func(entry string) bool {
		return entry == "."+name+tmpSuffix || IsTemporary(entry) && len(entry) == len(temporaryName(name)) && strings.HasPrefix(entry, "."+name+".")
	})
}

func (d *folder) removeTemporaries(match func(name string) bool) error {
	entries, err := d.list()
	if errors.Is(err, fs.ErrPermission) {
		return nil // a folder that we may write and not list, such as a drop box
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !match(e.Name()) {
			continue
		}
		if err := d.removeUnlocked(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// removeUnlocked removes a temporary file, unless a process has it locked, or may have it.
func (d *folder) removeUnlocked(name string) error {
	f, _, err := d.openFile(name, os.O_RDONLY, nil)
	if err != nil {
		return nil //nolint:nilerr // another user's, which only its owner can judge
	}
	defer func() { _ = f.Close() }() // after the removal, so that its writer notices it
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil //nolint:nilerr // a running process is writing it
	}
	return d.unlink(name)
}

// lockTemporary locks a new file until it is closed. The error is [ErrLocked] if another process has
// taken the file for that of a killed run, and removes it.
func lockTemporary(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink == 0 {
		return ErrLocked
	}
	return nil
}
