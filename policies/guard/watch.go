package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// look is the time between two checks for a decision.
const look = 50 * time.Millisecond

// Watch waits for a decision about the change in a folder. It undoes the change if the decision
// is not keep, if there is none in time, or if ctx ends. It locks the folder of the change
// meanwhile, and then calls ready; only then may the change be made.
func Watch(ctx context.Context, dir string, n Nft, within time.Duration, ready func() error) (Word, error) {
	release, err := durable.Lock(filepath.Join(dir, changeDir))
	if err != nil {
		return "", err
	}
	defer release()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	if err := ready(); err != nil {
		return "", fmt.Errorf("reporting that the guard is up: %w", err)
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for word(dir, decisionLink) == "" {
		select {
		case <-ctx.Done():
		case <-deadline.C:
		case <-ticker.C:
			continue
		}
		break
	}
	decision, err := writeWord(dir, decisionLink, Undo)
	if err != nil {
		decision = Undo // it cannot be noted, and is done all the same
	}
	// It is told to end, and does so when it has finished.
	return settle(context.WithoutCancel(ctx), dir, n, decision)
}

// Settled tells whether a change was kept or undone. It is its own JSON.
type Settled struct {
	SchemaVersion int  `json:"schema_version"`
	Outcome       Word `json:"outcome"`
}

// NewSettled returns the result of [Settle] for people and programs.
func NewSettled(outcome Word) Settled { return Settled{SchemaVersion: 1, Outcome: outcome} }

// WriteText writes the outcome.
func (s Settled) WriteText(w io.Writer) error {
	_, err := fmt.Fprintln(w, s.Outcome)
	return err
}

// Settle decides about the change in a folder, waits, and returns the outcome. The first decision
// counts. To keep a change that was kept saves its rules, if that is still to be done. Without a
// change the error is [ErrNone].
func Settle(ctx context.Context, dir string, w Word) (Word, error) {
	_, err := Decide(dir, w)
	if err != nil && (!errors.Is(err, ErrNone) || w != Keep || !isUnsaved(dir)) {
		return "", err
	}
	n, err := FindNft()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return Await(ctx, dir, n)
}

// settle carries out a decision and notes the outcome.
func settle(ctx context.Context, dir string, n Nft, decision Word) (Word, error) {
	if decision == Keep {
		return writeWord(dir, outcomeLink, Kept)
	}
	previous, err := durable.ReadFile(filepath.Join(dir, changeDir, previousFile), nft.MaxDump)
	if err != nil {
		return "", fmt.Errorf("undoing the change: %w", err)
	}
	const attempts = 5
	for i := range attempts {
		if err = n.Load(ctx, previous); err == nil {
			return writeWord(dir, outcomeLink, Undone)
		}
		if i < attempts-1 {
			<-time.After(time.Second) // another program may be at the same tables
		}
	}
	return "", fmt.Errorf("undoing the change: %w", err)
}

// Await waits until the watchdog of a change has ended, and returns the outcome. If there is none
// because the watchdog was killed, Await carries out the decision. If the change was kept, Await saves
// its rules; if that fails, the error is a *SaveError.
func Await(ctx context.Context, dir string, n Nft) (Word, error) {
	for {
		release, err := durable.Lock(filepath.Join(dir, changeDir))
		if err == nil {
			defer release()
			break
		}
		if !errors.Is(err, durable.ErrLocked) {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for the guard to end: %w", ctx.Err())
		case <-time.After(look):
		}
	}
	outcome := word(dir, outcomeLink)
	if outcome == "" {
		decision := word(dir, decisionLink)
		if decision == "" {
			return "", ErrOpen
		}
		var err error
		if outcome, err = settle(ctx, dir, n, decision); err != nil {
			return "", err
		}
	}
	return outcome, save(dir)
}
