package export

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// mode is the mode of every file of an export: each can hold a private key.
const mode fs.FileMode = 0o600

// File is one file of an export.
type File struct {
	Name string
	Data []byte
}

// Action names what Deliver does with a file.
type Action string

// The actions.
const (
	ActionWrite Action = "write" // the file did not exist
	ActionKeep  Action = "keep"  // it existed with this content
	// ActionProtect writes an equal file again, because others could read it.
	ActionProtect Action = "protect"
	ActionReplace Action = "replace" // it existed with other content
	ActionSkip    Action = "skip"    // there is no file
)

// DifferError means that an export would overwrite files with other content.
type DifferError struct{ Paths []string }

func (e *DifferError) Error() string {
	return "these files exist with other content: " + strings.Join(e.Paths, ", ")
}

// Delivery tells how to deliver.
type Delivery struct {
	Force  bool // replace files that differ
	DryRun bool // only say what would be done
}

// Deliver writes files into the folder dir, and creates the folder if necessary. It returns
// what it did with each file. Without Force, it writes nothing if a file exists with other
// content. A killed run leaves only complete files, and the next run finishes its work.
func Deliver(dir string, files []File, how Delivery) ([]Action, error) {
	if !how.DryRun {
		if err := durable.MakeDirs(dir, durable.Process()); err != nil {
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
		var owner *durable.Owner // that of the file which it replaces
		if actions[i] == ActionWrite {
			owner = durable.Process() // the folder's owner need not be one who may have the keys
		}
		if err := durable.WriteFile(dir, durable.File{Name: f.Name, Mode: mode, Data: f.Data}, owner); err != nil {
			return nil, err
		}
	}
	return actions, nil
}

// compare returns the action for each file in the folder dir.
func compare(dir string, files []File) ([]Action, error) {
	actions := make([]Action, len(files))
	for i, f := range files {
		if slices.ContainsFunc(files[:i], func(other File) bool { return other.Name == f.Name }) {
			return nil, fmt.Errorf("two files of the export are %s", filepath.Join(dir, f.Name))
		}
		path := filepath.Join(dir, f.Name)
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			actions[i] = ActionWrite
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s exists and is not a regular file; give another name or folder", path)
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
