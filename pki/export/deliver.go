package export

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// mode of every file of an export: each can hold a private key.
const mode fs.FileMode = 0o600

// File is one file of an export.
type File struct {
	Name string
	Data []byte
}

// Action names what delivering does about a file.
type Action string

// The actions.
const (
	ActionWrite Action = "write" // it was not there
	ActionKeep  Action = "keep"  // it was there and equal
	// ActionProtect writes anew an equal file that others could read.
	ActionProtect Action = "protect"
	ActionReplace Action = "replace" // it was there and differed
	ActionSkip    Action = "skip"    // there is no file
)

// DifferError means that files of other content are where an export would write.
type DifferError struct{ Paths []string }

func (e *DifferError) Error() string {
	return "already there, with other content: " + strings.Join(e.Paths, ", ")
}

// Delivery tells how to deliver.
type Delivery struct {
	Force  bool // replace files that differ
	DryRun bool // only say what would be done
}

// Deliver writes files into the folder dir, which it makes where there is none, and
// returns what it did about each. Unless forced, it writes nothing at all when a file of
// other content is there. A run that was killed leaves whole files only, and is finished
// by the next one.
func Deliver(dir string, files []File, how Delivery) ([]Action, error) {
	if !how.DryRun {
		if err := durable.MakeDirs(dir, nil); err != nil {
			return nil, err
		}
		release, err := durable.Lock(dir)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	actions, err := compare(dir, files)
	if err != nil {
		return nil, err
	}
	var differ []string
	for i, action := range actions {
		if action == ActionReplace {
			differ = append(differ, filepath.Join(dir, files[i].Name))
		}
	}
	if len(differ) > 0 && !how.Force {
		return nil, &DifferError{differ}
	}
	if how.DryRun {
		return actions, nil
	}
	for i, f := range files {
		if actions[i] == ActionKeep {
			continue
		}
		if err := durable.WriteFile(dir, durable.File{Name: f.Name, Mode: mode, Data: f.Data}, nil); err != nil {
			return nil, err
		}
	}
	return actions, nil
}

// compare returns for each file what writing it into dir means.
func compare(dir string, files []File) ([]Action, error) {
	actions := make([]Action, len(files))
	for i, f := range files {
		path := filepath.Join(dir, f.Name)
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			actions[i] = ActionWrite
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s is there and is no regular file; give another name or folder", path)
		case info.Size() != int64(len(f.Data)):
			actions[i] = ActionReplace
			continue
		}
		there, err := durable.ReadFile(path, info.Size())
		switch {
		case err != nil:
			return nil, err
		case !bytes.Equal(there, f.Data):
			actions[i] = ActionReplace
		case info.Mode().Perm() != mode:
			actions[i] = ActionProtect
		default:
			actions[i] = ActionKeep
		}
	}
	return actions, nil
}
