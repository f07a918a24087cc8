package rotation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Request holds what an operator asks of Run.
type Request struct {
	Spec    *cluster.Cluster
	To      encryption.ProviderType // empty for the spec's
	MinAge  time.Duration           // no rotation begins if the last one began less than this ago
	OneStep bool                    // go to the next stage and no further
	Random  io.Reader               // of which the new key is made
}

// Outcome tells how far Run got.
type Outcome uint8

// The outcomes. Run returns Unfinished with every error.
const (
	Unfinished Outcome = iota
	NotDue             // the last rotation is younger than MinAge
	Stepped            // one stage further
	Ended
)

// CheckTarget returns an error if a spec cannot be rotated to a provider; empty means the spec's own.
func CheckTarget(to encryption.ProviderType, spec *cluster.Cluster) error {
	known := cluster.EncryptionProviders()
	switch {
	case to != "" && to != encryption.Identity && !slices.Contains(known, string(to)):
		return fmt.Errorf("%q: want one of %s or identity", to, strings.Join(known, ", "))
	case to == encryption.KMS && spec.Encryption.Socket == "":
		return errors.New("kms: spec.encryption must have provider kms and a socket")
	}
	return nil
}

// Run begins a rotation unless one is under way, and takes it to its end, or one stage further. After
// an error or a crash, the next call continues where this one stopped.
func (r *Rotation) Run(ctx context.Context, request Request) (Outcome, error) {
	_, err := r.Status(ctx)
	if errors.Is(err, ErrNone) {
		due, err := r.begin(request)
		if err != nil {
			return Unfinished, err
		}
		if !due {
			return NotDue, nil
		}
	} else if err != nil {
		return Unfinished, err
	}
	for {
		done, err := r.Step(ctx)
		switch {
		case err != nil:
			return Unfinished, err
		case done:
			r.tell("the rotation has ended")
			r.tell("values of the old key may remain in older revisions, free pages and logs, until etcd is compacted and each member is defragmented")
			r.tell("hint: etcdsec audit census --snapshot SNAPSHOT --config %s", shellword.Path(filepath.Join(r.Dir, ConfigName)))
			return Ended, nil
		case request.OneStep:
			return Stepped, nil
		}
	}
}

// tell tells the operator what the journal need not keep.
func (r *Rotation) tell(format string, args ...any) {
	if r.Narrate != nil {
		r.Narrate(format, args...)
	}
}

// begin saves the plan of a new rotation, unless the last one is too recent.
func (r *Rotation) begin(request Request) (due bool, err error) {
	plan, due, err := r.makePlan(request)
	if err != nil || !due {
		return false, err
	}
	if cost := request.provider().Cost(); cost != "" {
		r.tell("warning: %s", cost)
	}
	if err := durable.MakeDirs(r.Dir, nil); err != nil {
		return false, err
	}
	if err := Begin(r.Dir, plan); err != nil {
		return false, err
	}
	r.tell("a rotation begins: from %s to %s; save a snapshot of etcd if there is no recent one", describeAll(plan.From), encryption.Describe(plan.To))
	return true, nil
}

func (request Request) provider() encryption.ProviderType {
	if request.To == "" {
		return encryption.ProviderType(request.Spec.Encryption.Provider)
	}
	return request.To
}

// makePlan makes the plan of a new rotation with a new key.
func (r *Rotation) makePlan(request Request) (p Plan, due bool, err error) {
	last, err := Last(r.Dir)
	if err != nil {
		return Plan{}, false, err
	}
	now := r.Now()
	if age := now.Sub(last); !last.IsZero() && age < request.MinAge {
		r.tell("nothing to do: the last rotation began %s ago, and --min-age is %s", age.Round(time.Second), request.MinAge)
		return Plan{}, false, nil
	}
	if err := CheckTarget(request.To, request.Spec); err != nil {
		return Plan{}, false, err
	}
	provider := request.provider()
	var key encryption.Key
	if provider != encryption.KMS && provider != encryption.Identity {
		if key, err = encryption.GenerateKey(request.Random, now); err != nil {
			return Plan{}, false, err
		}
	}
	current, err := InForce(r.Dir)
	if err != nil {
		return Plan{}, false, err
	}
	p, err = Make(current, request.Spec, provider, key, now)
	return p, true, err
}
