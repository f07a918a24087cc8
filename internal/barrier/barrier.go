// Package barrier waits until every part of a set is in a wanted state.
package barrier

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Missing is a part that is not in the wanted state.
type Missing struct {
	Name   string
	Reason string // a sentence with the name in it: "cp-0 is down"
}

// Barrier says what is waited for.
type Barrier struct {
	// Want names the state, as "each has ..." goes on: "loaded the new configuration".
	Want string
	// Within is how long to wait.
	Within time.Duration
	// Every is the time between two looks; zero is a second.
	Every time.Duration
	// Look returns who is missing. It may bring the missing ones what they wait for. An error
	// ends the waiting: the state cannot come.
	Look func(ctx context.Context) ([]Missing, error)
	// Narrate is told who is missing, whenever that changes; nil tells nobody.
	Narrate func(missing []Missing)
}

// LateError means that some did not come into the wanted state in time.
type LateError struct {
	Want    string
	Within  time.Duration
	Missing []Missing // the last that were seen
}

func (e *LateError) Error() string {
	return fmt.Sprintf("waited %s until each has %s: %s", e.Within, e.Want, Reasons(e.Missing))
}

// Reasons joins the reasons of those that are missing.
func Reasons(missing []Missing) string {
	reasons := make([]string, len(missing))
	for i, m := range missing {
		reasons[i] = m.Reason
	}
	return strings.Join(reasons, "; ")
}

// Wait looks until nobody is missing. It returns a *LateError when the time is over, and the
// context's error when that ends first.
func (b Barrier) Wait(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, b.Within)
	defer cancel()
	var told []Missing
	for {
		missing, err := b.Look(within)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case len(missing) == 0:
			return nil
		case !slices.Equal(missing, told):
			if b.Narrate != nil {
				b.Narrate(missing)
			}
			told = missing
		}
		select {
		case <-within.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &LateError{Want: b.Want, Within: b.Within, Missing: told}
		case <-time.After(cmp.Or(b.Every, time.Second)):
		}
	}
}
