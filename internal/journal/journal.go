// Package journal stores on disk what an operation of several steps needs to continue after a crash:
// a plan, and the files of the plan.
//
// The plan is written last and removed first, so an operation is under way exactly while its plan
// exists. The plan has the hash of each file, and a changed file is refused. An operation finds its
// next step from the state of the cluster, never from a record of its last step.
package journal

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// Journal is the place on disk for one kind of operation.
type Journal struct {
	What   string // the operation, for errors: "rotation"
	Dir    string // locked while the operation runs
	Folder string // below Dir, for the files of an operation that is under way
	// Schema is the schema_version of the plans that this program writes and reads.
	Schema int
	// Log is a file below Dir. It tells people what was done and when. No step reads it.
	Log string
}

// File is a file of a plan.
type File struct {
	Name string
	Data []byte
}

var (
	// ErrNone means that no operation is under way.
	ErrNone = errors.New("no operation is under way")
	// ErrUnderWay means that another operation is under way.
	ErrUnderWay = errors.New("an operation is under way already")
)

// ChangedError means that somebody changed a file after the operation began.
type ChangedError struct{ What, Path string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s was changed since the %s began: restore its old content", e.Path, e.What)
}

// SchemaError means that this program cannot read a plan.
type SchemaError struct{ What, Path string }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("%s is not a plan that this etcdsec knows: a newer etcdsec may have begun the %s", e.Path, e.What)
}

const (
	planName   = "plan.json"
	abortName  = "abort"
	secretMode = 0o600 // a plan's files may be keys
	maxFile    = 1 << 20
)

// Hash returns the hash of a file in the form of the plans: "sha256:HEX".
func Hash(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// Lock locks the journal's directory for this process. The error is durable.ErrLocked if another
// process has the lock, and a durable.TrustError if another user controls the directory: a plan's files
// may be keys.
func (j Journal) Lock() (release func(), err error) {
	if err := durable.CheckTrusted(j.Dir); err != nil {
		return nil, err
	}
	return durable.Lock(j.Dir)
}

// Path returns the path of a file of the operation.
func (j Journal) Path(name string) string { return filepath.Join(j.Dir, j.Folder, name) }

// Begin writes the files and then the plan, as JSON with the schema_version of the journal. The
// caller holds the lock. Begin removes files without a plan, which an interrupted beginning or end
// left.
func (j Journal) Begin(plan any, files []File) error {
	data, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	if err := j.readPlan(nil); !errors.Is(err, ErrNone) {
		if err == nil {
			err = ErrUnderWay
		}
		return err
	}
	at := filepath.Join(j.Dir, j.Folder)
	if err := durable.RemoveAll(at); err != nil {
		return err
	}
	if err := durable.MakeDir(at, nil); err != nil {
		return err
	}
	for _, f := range files {
		if err := durable.WriteFile(at, durable.File{Name: f.Name, Mode: secretMode, Data: f.Data}, nil); err != nil {
			return err
		}
	}
	return durable.WriteFile(at, durable.File{Name: planName, Mode: secretMode, Data: append(data, '\n')}, nil)
}

// Load reads the plan. The error is ErrNone if there is no plan.
func (j Journal) Load(plan any) error { return j.readPlan(plan) }

func (j Journal) readPlan(plan any) error {
	path := j.Path(planName)
	data, err := durable.ReadFile(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNone
	}
	if err != nil {
		return fmt.Errorf("reading the plan of the %s: %w", j.What, err)
	}
	var head struct {
		SchemaVersion int `json:"schema_version"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.SchemaVersion != j.Schema {
		return &SchemaError{What: j.What, Path: path}
	}
	if plan == nil {
		return nil
	}
	if err := json.Unmarshal(data, plan); err != nil {
		return &SchemaError{What: j.What, Path: path}
	}
	return nil
}

// ReadFile reads a file of the operation. hash is its hash in the plan.
func (j Journal) ReadFile(name, hash string) ([]byte, error) {
	data, err := durable.ReadFile(j.Path(name), maxFile)
	if err != nil {
		return nil, fmt.Errorf("reading a file of the %s: %w", j.What, err)
	}
	if Hash(data) != hash {
		return nil, &ChangedError{What: j.What, Path: j.Path(name)}
	}
	return data, nil
}

// UnderWay reports whether an operation is under way, or may be.
func (j Journal) UnderWay() bool { return !errors.Is(j.readPlan(nil), ErrNone) }

// Abort marks the operation as one to undo.
func (j Journal) Abort() error {
	return durable.WriteFile(filepath.Join(j.Dir, j.Folder), durable.File{Name: abortName, Mode: secretMode}, nil)
}

// Aborting reports whether the operation is marked as one to undo.
func (j Journal) Aborting() bool {
	_, err := os.Stat(j.Path(abortName))
	return err == nil
}

// End removes the plan, and then the rest.
func (j Journal) End() error {
	if err := Remove(j.Path(planName)); err != nil {
		return err
	}
	return Remove(filepath.Join(j.Dir, j.Folder))
}

// Remove removes durably: what comes after it never meets the path again, not even after a crash.
func Remove(path string) error {
	if err := durable.RemoveAll(path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Note adds a line to the log.
func (j Journal) Note(now time.Time, text string) error {
	line, err := json.Marshal(struct {
		Time time.Time `json:"time"`
		Text string    `json:"text"`
	}{now.UTC(), text})
	if err != nil {
		return err
	}
	return durable.Append(filepath.Join(j.Dir, j.Log), append(line, '\n'))
}
