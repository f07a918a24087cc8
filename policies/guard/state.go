package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// DefaultDir is the folder with the default folders for the state of guards. The packet filter does not
// outlive a boot, and neither does /run. A former version had the state of its one guard in it.
const DefaultDir = "/run/etcdsec"

// DirFor returns the default folder for the state of the guard of a cluster. A host may have members of
// several clusters.
func DirFor(cluster string) string { return filepath.Join(DefaultDir, cluster) }

// A SeveralError means that changes of several clusters wait for a decision.
type SeveralError struct{ Dirs []string }

func (e *SeveralError) Error() string {
	return "changes of several clusters wait to be kept or undone: " + strings.Join(e.Dirs, ", ")
}

// FindDir finds the folder below all, or all itself, with the one change that waits for a decision, or
// that was kept and is not saved yet. If there are several, the error is a *SeveralError, and
// [ErrNone] if there is none.
func FindDir(all string) (string, error) {
	below, err := os.ReadDir(all)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNone
	}
	if err != nil {
		return "", err
	}
	dirs := []string{all}
	for _, d := range below {
		if d.IsDir() {
			dirs = append(dirs, filepath.Join(all, d.Name()))
		}
	}
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !hasOpenChange(dir) && !isUnsaved(dir) })
	switch len(dirs) {
	case 0:
		return "", ErrNone
	case 1:
		return dirs[0], nil
	}
	return "", &SeveralError{dirs}
}

// The state of a change is a folder with these in it. The two words are targets of symlinks,
// because only of a symlink are the name and what it says made in one step, and by one only.
const (
	changeDir    = "change"
	previousFile = "previous.nft" // what brings back what was there before
	logFile      = "log"          // what the watchdog says
	saveLink     = "save"         // the path of the file that the rules are saved to, if they are kept
	unsavedFile  = "unsaved.nft"  // those rules, until they are saved
	decisionLink = "decision"     // keep or undo: whoever says it first
	outcomeLink  = "outcome"      // kept or undone
)

// Word is a decision or an outcome.
type Word string

// Decisions and their outcomes.
const (
	Keep   Word = "keep"
	Undo   Word = "undo"
	Kept   Word = "kept"
	Undone Word = "undone"
)

// ErrOpen means that a change still waits to be kept or undone.
var ErrOpen = errors.New("a change of the packet filter still waits to be kept or undone")

// ErrNone means that no change waits for a decision.
var ErrNone = errors.New("no change of the packet filter waits for a decision")

// State is the folder of the guard, locked by this process.
type State struct {
	dir     string
	release func()
}

// Open locks the folder for a new change. The error is durable.ErrLocked if another etcdsec has
// locked it, and [ErrOpen] if a change waits for a decision, even if its watchdog was killed.
func Open(dir string) (*State, error) {
	change := filepath.Join(dir, changeDir)
	if err := durable.MakeDirs(change, nil); err != nil {
		return nil, err
	}
	for _, d := range []string{dir, change} {
		if err := checkPrivate(d); err != nil {
			return nil, err
		}
	}
	release, err := durable.Lock(dir)
	if err != nil {
		return nil, err
	}
	s := &State{dir: dir, release: release}
	if err := s.free(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// checkPrivate refuses a folder in which other users could place a ruleset that root would load.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || info.Mode().Perm()&0o077 != 0 || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("folder %s: want a folder owned by user %d with mode 0700, not a symlink", dir, os.Geteuid())
	}
	return nil
}

func (s *State) free() error {
	release, err := durable.Lock(filepath.Join(s.dir, changeDir))
	if errors.Is(err, durable.ErrLocked) {
		return ErrOpen
	}
	if err != nil {
		return err
	}
	release()
	// A former version may have left its own for the same cluster.
	if hasOpenChange(s.dir) || filepath.Dir(s.dir) == DefaultDir && hasOpenChange(DefaultDir) {
		return ErrOpen
	}
	return nil
}

// hasOpenChange reports whether there is a change without an outcome.
func hasOpenChange(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, changeDir, previousFile))
	return !errors.Is(err, fs.ErrNotExist) && word(dir, outcomeLink) == ""
}

// Close releases the folder's lock.
func (s *State) Close() { s.release() }

// Saving says where rules are saved once they are kept. Without a path they are not saved.
type Saving struct {
	Path  string // absolute
	Rules []byte
}

// A SaveError means that a change was kept, but its rules could not be saved.
type SaveError struct {
	Path string
	Err  error
}

func (e *SaveError) Error() string {
	return fmt.Sprintf("the rules are kept, but not saved to %s: %v", e.Path, e.Err)
}

func (e *SaveError) Unwrap() error { return e.Err }

// Prepare records, before a change is made, how to undo it and where to save it. So the rules are
// saved by whoever keeps them, even if the command that made the change was killed.
func (s *State) Prepare(previous []byte, saving Saving) error {
	change := filepath.Join(s.dir, changeDir)
	// The outcome goes last: without the files above it, the rest says nothing.
	for _, name := range []string{previousFile, unsavedFile, saveLink, logFile, decisionLink, outcomeLink} {
		if err := os.Remove(filepath.Join(change, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("preparing a change: %w", err)
		}
	}
	if saving.Path != "" {
		if err := os.Symlink(saving.Path, filepath.Join(change, saveLink)); err != nil {
			return fmt.Errorf("preparing a change: %w", err)
		}
		if err := durable.WriteFile(change, durable.File{Name: unsavedFile, Mode: 0o600, Data: saving.Rules}, nil); err != nil {
			return err
		}
	}
	return durable.WriteFile(change, durable.File{Name: previousFile, Mode: 0o600, Data: previous}, nil)
}

// SavePath returns the path that the rules of the last change are saved to, or "".
func SavePath(dir string) string { return string(word(dir, saveLink)) }

// isUnsaved reports whether a change was kept whose rules are still to be saved.
func isUnsaved(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, changeDir, unsavedFile))
	return err == nil && word(dir, outcomeLink) == Kept
}

// save saves the rules of a change that was kept. The caller holds the lock of the change.
func save(dir string) error {
	if !isUnsaved(dir) {
		return nil
	}
	path, unsaved := SavePath(dir), filepath.Join(dir, changeDir, unsavedFile)
	rules, err := durable.ReadFile(unsaved, nft.MaxDump)
	if err == nil {
		err = durable.WriteFile(filepath.Dir(path), durable.File{Name: filepath.Base(path), Mode: 0o600, Data: rules}, nil)
	}
	if err == nil {
		err = os.Remove(unsaved)
	}
	if err != nil {
		return &SaveError{path, err}
	}
	return nil
}

// Abandon removes the record of a change that was not made.
func (s *State) Abandon() error {
	return os.Remove(filepath.Join(s.dir, changeDir, previousFile))
}

// Log returns the path of the watchdog's log.
func Log(dir string) string { return filepath.Join(dir, changeDir, logFile) }

func word(dir, link string) Word {
	target, err := os.Readlink(filepath.Join(dir, changeDir, link))
	if err != nil {
		return ""
	}
	return Word(target)
}

// writeWord writes a word as a link, unless the link exists, and returns the word of the link.
func writeWord(dir, link string, w Word) (Word, error) {
	err := os.Symlink(string(w), filepath.Join(dir, changeDir, link))
	if errors.Is(err, fs.ErrExist) {
		if there := word(dir, link); there != "" {
			return there, nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("noting the %s: %w", link, err)
	}
	return w, nil
}

// Decide makes the decision about the change, unless there already is one, and returns the
// decision that counts: a change that is being undone cannot be kept. Without a change the error
// is [ErrNone].
func Decide(dir string, w Word) (Word, error) {
	if err := checkPrivate(dir); errors.Is(err, fs.ErrNotExist) {
		return "", ErrNone
	} else if err != nil {
		return "", err
	}
	if !hasOpenChange(dir) {
		return "", ErrNone
	}
	return writeWord(dir, decisionLink, w)
}

// Messages returns the text of the watchdog's log.
func Messages(dir string) string {
	data, err := durable.ReadFile(Log(dir), 64<<10)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Decided returns the decision about the change, or an empty word.
func Decided(dir string) Word { return word(dir, decisionLink) }
