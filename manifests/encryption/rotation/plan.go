// Package rotation changes what encrypts the objects that Kubernetes stores in etcd, while several API
// servers write. Every stored object can be read at any moment.
//
// A rotation is a sequence of four configurations, made and saved before its first step: the one in
// force, the one with the new key as the second, the one with the new key first, and the one without
// the old key. A step goes from one to the next: it delivers the file to every API server, and waits
// until each reports that it has loaded exactly these bytes. Between the third and the fourth, every
// object is rewritten, and a census of etcd proves it.
//
// Each start works out the next step from the file in force and from what the API servers report. No
// other state is kept that could lead to a wrong step.
package rotation

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/journal"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Stage names a configuration of a rotation.
type Stage string

// The stages, in the order in which they are put into force.
const (
	Before   Stage = "before"   // as it was
	Added    Stage = "added"    // the new key can decrypt everywhere
	Promoted Stage = "promoted" // the new key encrypts; the old one decrypts
	Dropped  Stage = "dropped"  // the old key is gone
)

func stages() []Stage { return []Stage{Before, Added, Promoted, Dropped} }

func (s Stage) next() Stage { return stages()[slices.Index(stages(), s)+1] }

// Plan holds a whole rotation before its first step.
type Plan struct {
	SchemaVersion int            `json:"schema_version"`
	Created       time.Time      `json:"created"`
	To            audit.Writer   `json:"to"`
	From          []audit.Writer `json:"from"` // what the configuration before reads, the one that encrypts first; all are dropped
	// Hashes are those of the files, "sha256:HEX", as an API server reports them.
	Hashes map[Stage]string `json:"hashes"`

	// Files are the configurations. That of Before is nil where there was none.
	Files map[Stage][]byte `json:"-"`
}

// stageOf returns the stage of a hash; empty if no stage has it.
func (p *Plan) stageOf(hash string) Stage {
	for _, stage := range stages() {
		if p.Hashes[stage] == hash {
			return stage
		}
	}
	return ""
}

// ConfigName is the file that is in force, below DIR/kubernetes.
const ConfigName = encryption.ConfigName

const (
	retired = "encryption-retired" // the configurations that old snapshots need
	// retiredName is the layout of their names, of the time when the rotation was begun.
	retiredName = "20060102T150405.000000000Z.yaml" // no two of which are the same: each holds keys
	maxConfig   = 1 << 20
	secretMode  = 0o600
)

// journalOf returns what a rotation keeps below DIR/kubernetes while it is under way.
func journalOf(dir string) journal.Journal {
	return journal.Journal{What: "rotation", Dir: dir, Folder: "encryption-rotation", Schema: 1, Log: "encryption-journal.jsonl"}
}

// fileName returns the name of a stage's configuration in the journal.
func (s Stage) fileName() string { return string(s) + ".yaml" }

// ErrNone means that no rotation is under way.
var ErrNone = errors.New("no rotation is under way")

// Begin writes a plan below DIR/kubernetes. It puts nothing in force.
func Begin(dir string, plan Plan) error {
	j := journalOf(dir)
	release, err := j.Lock()
	if err != nil {
		return err
	}
	defer release()
	if current, err := InForce(dir); err != nil || !bytes.Equal(current, plan.Files[Before]) {
		return errors.Join(err, errors.New("the configuration in force is not the one that the rotation was planned from"))
	}
	plan.SchemaVersion, plan.Hashes = j.Schema, plan.hashes()
	var files []journal.File
	for _, stage := range stages() {
		if file := plan.Files[stage]; file != nil || stage != Before {
			files = append(files, journal.File{Name: stage.fileName(), Data: file})
		}
	}
	if err := j.Begin(plan, files); err != nil {
		return fmt.Errorf("beginning the rotation: %w", err)
	}
	return nil
}

// hashes returns the hashes of the files, by stage. That of Before is empty if there was no file.
func (p *Plan) hashes() map[Stage]string {
	hashes := map[Stage]string{}
	for _, stage := range stages() {
		if file := p.Files[stage]; file != nil || stage != Before {
			hashes[stage] = encryption.Hash(file)
		} else {
			hashes[stage] = ""
		}
	}
	return hashes
}

// load reads the rotation that is under way, and verifies its files.
func load(dir string) (*Plan, error) {
	j := journalOf(dir)
	var p Plan
	err := j.Load(&p)
	if errors.Is(err, journal.ErrNone) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	p.Files = map[Stage][]byte{}
	for _, stage := range stages() {
		if stage == Before && p.Hashes[stage] == "" {
			continue
		}
		file, err := j.ReadFile(stage.fileName(), p.Hashes[stage])
		if err != nil {
			return nil, err
		}
		configuration, err := encryption.Parse(j.Path(stage.fileName()), file, encryption.Server{KMSv1: true})
		if err != nil {
			return nil, err
		}
		p.nameVersions(configuration)
		p.Files[stage] = file
	}
	return &p, nil
}

// nameVersions adds the versions of KMS plugins, which older plans left out.
func (p *Plan) nameVersions(c *encryption.Configuration) {
	const unversioned = audit.Provider(encryption.KMS)
	name := func(w *audit.Writer) {
		for _, rule := range c.Rules {
			for _, provider := range rule.Providers {
				if w.Provider == unversioned && provider.Type == encryption.KMS && provider.Plugin.Name == w.Key {
					*w = provider.Writers()[0]
				}
			}
		}
	}
	name(&p.To)
	for i := range p.From {
		name(&p.From[i])
	}
}

// InForce returns the configuration in force; nil if there is none.
func InForce(dir string) ([]byte, error) {
	file, err := durable.ReadFile(filepath.Join(dir, ConfigName), maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration in force: %w", err)
	}
	return file, nil
}

// Last returns when the last rotation that has ended was begun; zero if there was none.
func Last(dir string) (time.Time, error) {
	entries, err := os.ReadDir(filepath.Join(dir, retired))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, fmt.Errorf("looking for the last rotation: %w", err)
	}
	var last time.Time
	for _, e := range entries {
		begun, err := time.Parse(retiredName, e.Name())
		if err == nil && begun.After(last) {
			last = begun
		}
	}
	return last, nil
}

// UnderWay reports whether the file in force belongs to a rotation. Then nothing else may change it.
func UnderWay(dir string) bool { return journalOf(dir).UnderWay() }

// current returns the stage whose file is in force.
func (p *Plan) current(dir string) (Stage, error) {
	name := filepath.Join(dir, ConfigName)
	file, err := InForce(dir)
	if err != nil {
		return "", err
	}
	if file == nil && p.Files[Before] == nil {
		return Before, nil
	}
	stage := p.stageOf(encryption.Hash(file))
	if stage == "" {
		return "", fmt.Errorf("%s is not a configuration of the rotation: somebody changed it; restore one of %s", name, journalOf(dir).Path("*.yaml"))
	}
	return stage, nil
}

// putInForce makes a stage the current one. It does not deliver the file.
func (p *Plan) putInForce(dir string, stage Stage) error {
	if stage == Before && p.Files[Before] == nil {
		return journal.Remove(filepath.Join(dir, ConfigName))
	}
	return durable.WriteFile(dir, durable.File{Name: ConfigName, Mode: secretMode, Data: p.Files[stage]}, nil)
}

// Abort notes that the rotation must be reversed. Its next steps go back.
func Abort(dir string) error {
	p, err := load(dir)
	if err != nil {
		return err
	}
	stage, err := p.current(dir)
	if err != nil {
		return err
	}
	if stage == Dropped {
		return errors.New("the old key is dropped already, and objects may need the new one: finish this rotation, then begin another one")
	}
	return journalOf(dir).Abort()
}

// finish saves the configuration that reads both keys, because snapshots may need it, and removes the
// plan.
func (p *Plan) finish(dir string) error {
	kept := filepath.Join(dir, retired)
	if err := durable.MakeDir(kept, nil); err != nil {
		return err
	}
	name := p.Created.UTC().Format(retiredName)
	if err := durable.WriteFile(kept, durable.File{Name: name, Mode: secretMode, Data: p.Files[Promoted]}, nil); err != nil {
		return err
	}
	return journalOf(dir).End()
}
