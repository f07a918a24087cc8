package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/journal"
)

type plan struct {
	SchemaVersion int    `json:"schema_version"`
	Hash          string `json:"hash"`
}

func newJournal(t *testing.T) journal.Journal {
	t.Helper()
	return journal.Journal{What: "rotation", Dir: t.TempDir(), Folder: "rotation", Schema: 1, Log: "log.jsonl"}
}

func begin(t *testing.T, j journal.Journal) {
	t.Helper()
	if err := j.Begin(plan{1, journal.Hash([]byte("new"))}, []journal.File{{Name: "ca.crt", Data: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
}

func TestBeginToEnd(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	if err := j.Load(&plan{}); !errors.Is(err, journal.ErrNone) || j.UnderWay() {
		t.Errorf("before: %v", err)
	}
	// The rest of a beginning that was interrupted.
	if err := os.MkdirAll(j.Path("left"), 0o700); err != nil {
		t.Fatal(err)
	}
	if j.UnderWay() {
		t.Error("files without a plan are an operation")
	}
	begin(t, j)
	if _, err := os.Stat(j.Path("left")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left is there: %v", err)
	}
	var read plan
	if err := j.Load(&read); err != nil || !j.UnderWay() {
		t.Errorf("under way: %v", err)
	}
	if data, err := j.ReadFile("ca.crt", read.Hash); err != nil || string(data) != "new" {
		t.Errorf("got %q, %v", data, err)
	}
	if err := j.Begin(plan{1, ""}, nil); !errors.Is(err, journal.ErrUnderWay) {
		t.Errorf("a second one: %v", err)
	}
	if j.Aborting() {
		t.Error("aborting before it was asked to")
	}
	if err := j.Abort(); err != nil || !j.Aborting() {
		t.Errorf("abort: %v", err)
	}
	if err := j.End(); err != nil || j.UnderWay() || j.Aborting() {
		t.Errorf("end: %v", err)
	}
	if _, err := os.Stat(filepath.Join(j.Dir, j.Folder)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}

// A plan of another schema, and files that changed, are refused; they still are an operation.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, data string
		is         func(error) bool
	}{
		"a newer plan":   {"plan.json", `{"schema_version": 2}`, is[*journal.SchemaError]},
		"no JSON":        {"plan.json", `{`, is[*journal.SchemaError]},
		"another type":   {"plan.json", `{"schema_version": 1, "hash": 1}`, is[*journal.SchemaError]},
		"a changed file": {"ca.crt", "other", is[*journal.ChangedError]},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournal(t)
			begin(t, j)
			if err := os.WriteFile(j.Path(c.file), []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			var read plan
			err := j.Load(&read)
			if err == nil {
				_, err = j.ReadFile("ca.crt", read.Hash)
			}
			if !c.is(err) || !strings.Contains(err.Error(), j.Path(c.file)) {
				t.Errorf("got %v", err)
			}
			if !j.UnderWay() {
				t.Error("it is forgotten")
			}
		})
	}
}

func is[E error](err error) bool {
	_, found := errors.AsType[E](err)
	return found
}

func TestLock(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	release, err := j.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Lock(); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("got %v", err)
	}
	release()
	if release, err = j.Lock(); err != nil {
		t.Error(err)
	} else {
		release()
	}
}

// A journal in the folder of another user is refused: that user could read and exchange its keys.
func TestLockRefusesTheFolderOfAnother(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give folders to another user")
	}
	j := newJournal(t)
	if err := os.Chown(j.Dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	_, err := j.Lock()
	if fault, ok := errors.AsType[*durable.TrustError](err); !ok || fault.Path != j.Dir {
		t.Errorf("got %v", err)
	}
}

func TestNote(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, text := range []string{"one", "two\nlines"} {
		if err := j.Note(at, text); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(j.Dir, j.Log))
	const want = `{"time":"2026-01-02T03:04:05Z","text":"one"}` + "\n" + `{"time":"2026-01-02T03:04:05Z","text":"two\nlines"}` + "\n"
	if err != nil || string(data) != want {
		t.Errorf("got %q, %v", data, err)
	}
}
