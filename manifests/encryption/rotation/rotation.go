package rotation

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/journal"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Rotation holds what the steps of a rotation need.
type Rotation struct {
	Dir     string // DIR/kubernetes
	Servers []Server
	// Deliver replaces the file from which the server reads its configuration, in one step.
	Deliver func(ctx context.Context, s Server, file string) error
	// Census counts the stored objects of the plan's resources by what encrypts them.
	Census func(ctx context.Context, p *Plan) ([]Count, error)
	// Snapshots returns the names of the snapshots that still need one of the writers. It is nil
	// if their place is unknown.
	Snapshots func(ctx context.Context, writers []audit.Writer) ([]string, error)

	Wait    time.Duration // for the API servers to load a file
	Rate    float64       // objects rewritten in a second, at most
	Now     func() time.Time
	Narrate func(format string, args ...any)
}

// narrate tells the operator what happens, and notes it in the journal for an auditor.
func (r *Rotation) narrate(format string, args ...any) {
	if r.Narrate != nil {
		r.Narrate(format, args...)
	}
	if err := r.journal().Note(r.Now(), fmt.Sprintf(format, args...)); err != nil && r.Narrate != nil {
		r.Narrate("warning: the journal is not written: %v", err)
	}
}

func (r *Rotation) journal() journal.Journal { return journalOf(r.Dir) }

// file returns where the configuration of a stage is kept.
func (r *Rotation) file(stage Stage) string { return r.journal().Path(stage.fileName()) }

// Loaded returns what each API server has loaded. It changes nothing.
func (r *Rotation) Loaded(ctx context.Context, p *Plan) []ServerState { return r.askServers(ctx, p) }

// State tells how far a rotation is. Fields of its JSON are only ever added.
type State struct {
	SchemaVersion int  `json:"schema_version"`
	UnderWay      bool `json:"under_way"`

	Plan     *Plan         `json:"plan"`
	Stage    Stage         `json:"stage"` // of the file that is in force
	Aborting bool          `json:"aborting"`
	Servers  []ServerState `json:"servers"`
	Next     string        `json:"next"` // what the next step does
}

// Status returns how far the rotation is, or ErrNone if there is none. It changes nothing.
func (r *Rotation) Status(ctx context.Context) (State, error) {
	p, err := load(r.Dir)
	if err != nil {
		return State{}, err
	}
	stage, err := p.current(r.Dir)
	if err != nil {
		return State{}, err
	}
	s := State{SchemaVersion: 1, UnderWay: true, Plan: p, Stage: stage, Aborting: r.journal().Aborting(), Servers: r.askServers(ctx, p)}
	s.Next = p.nextStep(stage, s.Aborting)
	return s, nil
}

func (p *Plan) nextStep(stage Stage, aborting bool) string {
	switch {
	case aborting && stage == Promoted:
		return fmt.Sprintf("let %s encrypt again on every API server", p.describeOld())
	case aborting && stage == Added:
		return fmt.Sprintf("rewrite what %s encrypted, prove that nothing of it is left, and remove it", encryption.Describe(p.To))
	case aborting:
		return "end the rotation with the configuration from before it"
	case stage == Before:
		return fmt.Sprintf("let every API server decrypt with %s", encryption.Describe(p.To))
	case stage == Added:
		return fmt.Sprintf("let %s encrypt on every API server", encryption.Describe(p.To))
	case stage == Promoted:
		return fmt.Sprintf("rewrite every object, prove that no object of %s is left, and drop it", p.describeOld())
	default:
		return "prove that every object can be read, and end the rotation"
	}
}

// describeOld names what encrypted before the rotation.
func (p *Plan) describeOld() string {
	if len(p.From) == 0 {
		return "plaintext"
	}
	return encryption.Describe(p.From[0])
}

// Step takes the rotation one stage forward, or back if it is aborted. done is true when the rotation
// has ended. After an error or a crash, the next call continues where this one stopped.
func (r *Rotation) Step(ctx context.Context) (done bool, err error) {
	release, err := r.journal().Lock()
	if err != nil {
		return false, err
	}
	defer release()
	p, err := load(r.Dir)
	if err != nil {
		return false, err
	}
	stage, err := p.current(r.Dir)
	if err != nil {
		return false, err
	}
	if len(r.Servers) == 0 {
		return false, errors.New("no API server is named, and a rotation needs all of them")
	}
	// Whatever was in force before, it is in force everywhere before the next is.
	if err := r.waitForLoad(ctx, p, stage); err != nil {
		return false, err
	}
	if r.journal().Aborting() {
		return r.stepBack(ctx, p, stage)
	}
	switch stage {
	case Added:
	case Before:
		if err := r.checkReadable(ctx, p); err != nil {
			return false, err
		}
	case Promoted:
		if err := r.rewriteAndProve(ctx, p, Promoted, p.To); err != nil {
			return false, err
		}
		r.narrate("a census of etcd found every object stored by %s; save a snapshot now: restoring an older one needs %s", encryption.Describe(p.To), p.describeOld())
		if err := r.checkSnapshots(ctx, p.From); err != nil {
			return false, err
		}
	case Dropped:
		if err := r.prove(ctx, p, p.To); err != nil {
			return false, fmt.Errorf("%w; to read them, copy %s over %s and run this again", err, r.file(Promoted), filepath.Join(r.Dir, ConfigName))
		}
		return true, p.finish(r.Dir)
	}
	return false, r.advance(ctx, p, stage.next())
}

func (r *Rotation) stepBack(ctx context.Context, p *Plan, stage Stage) (done bool, err error) {
	switch stage {
	case Promoted:
		return false, r.advance(ctx, p, Added)
	case Added:
		if len(p.From) == 0 {
			return false, errors.New("the plan does not say what encrypted before")
		}
		if err := r.rewriteAndProve(ctx, p, Added, p.From...); err != nil {
			return false, err
		}
		if err := r.checkSnapshots(ctx, []audit.Writer{p.To}); err != nil {
			return false, err
		}
		return false, r.advance(ctx, p, Before)
	default:
		return true, p.finish(r.Dir)
	}
}

// advance puts a stage in force here, and then everywhere.
func (r *Rotation) advance(ctx context.Context, p *Plan, stage Stage) error {
	if err := p.putInForce(r.Dir, stage); err != nil {
		return err
	}
	r.narrate("in force now: the configuration %q", stage)
	return r.waitForLoad(ctx, p, stage)
}

// rewriteAndProve returns when one of the writers encrypts every object. Then it checks that the API
// servers still have the stage: one that went back in between may have written with another key.
func (r *Rotation) rewriteAndProve(ctx context.Context, p *Plan, stage Stage, writers ...audit.Writer) error {
	left, err := r.remaining(ctx, p, writers...)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		if err := r.rewrite(ctx, p); err != nil {
			return err
		}
	}
	if err := r.prove(ctx, p, writers...); err != nil {
		return fmt.Errorf("%w; no key was dropped: run this again", err)
	}
	for _, s := range r.askServers(ctx, p) {
		if s.Fault != "" {
			return fmt.Errorf("after rewriting the objects: %s", s.Fault)
		}
		if s.Stage != stage {
			return fmt.Errorf("%s changed to the configuration %s while objects were rewritten", s.Name, stageName(s.Stage))
		}
	}
	return nil
}

// remaining counts the objects that none of the writers encrypted.
func (r *Rotation) remaining(ctx context.Context, p *Plan, writers ...audit.Writer) ([]Count, error) {
	counts, err := r.Census(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("taking the census: %w", err)
	}
	var left []Count
	for _, c := range counts {
		if !slices.Contains(writers, c.Writer) && c.Objects > 0 {
			left = append(left, c)
		}
	}
	return left, nil
}

// checkReadable fails if none of the keys in force decrypts a stored object. Such an object cannot be
// rewritten, and the rotation must not make it unreadable for ever.
func (r *Rotation) checkReadable(ctx context.Context, p *Plan) error {
	left, err := r.remaining(ctx, p, append(slices.Clone(p.From), p.To)...)
	if err != nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("%d %s are stored by %s, which the configuration in force does not read: restore that key, or delete the objects, before you begin a rotation", left[0].Objects, left[0].Resource, encryption.Describe(left[0].Writer))
}

// prove fails if an object is left that none of the writers encrypted.
func (r *Rotation) prove(ctx context.Context, p *Plan, writers ...audit.Writer) error {
	left, err := r.remaining(ctx, p, writers...)
	if err != nil || len(left) == 0 {
		return err
	}
	var objects int64
	for _, c := range left {
		objects += c.Objects
	}
	return fmt.Errorf("%d objects are still stored by another key, such as %d %s by %s", objects, left[0].Objects, left[0].Resource, encryption.Describe(left[0].Writer))
}

func (r *Rotation) checkSnapshots(ctx context.Context, writers []audit.Writer) error {
	if r.Snapshots == nil {
		return nil
	}
	needing, err := r.Snapshots(ctx, writers)
	if err != nil {
		return fmt.Errorf("looking at the snapshots: %w", err)
	}
	if len(needing) > 0 {
		return fmt.Errorf("%d snapshots need the old key, the first is %s: keep the key until they have expired", len(needing), needing[0])
	}
	return nil
}
