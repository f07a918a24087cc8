// Package barrier waits until every part of a set has reached a state.
package barrier

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Missing is a part that has not reached the state.
type Missing struct {
	Name   string
	Reason string // a sentence with the name in it: "cp-0 is down"
}

// Barrier says what to wait for, and how long.
type Barrier struct {
	// Want names the state. It continues the words "each has": "loaded the new configuration".
	Want string
	// Within is the longest time to wait.
	Within time.Duration
	// Every is the time between two calls of Look; zero means one second.
	Every time.Duration
	// Look returns the missing parts. It may also deliver what they wait for. An error ends the
	// wait: the state cannot be reached.
	Look func(ctx context.Context) ([]Missing, error)
	// Narrate, if not nil, is called with the missing parts whenever they change.
	Narrate func(missing []Missing)
}

// LateError means that some parts did not reach the state in time.
type LateError struct {
	Want    string
	Within  time.Duration
	Missing []Missing // at the last look
}

func (e *LateError) Error() string {
	return fmt.Sprintf("waited %s until each has %s: %s", e.Within, e.Want, Reasons(e.Missing))
}

// Reasons joins the reasons of the missing parts.
func Reasons(missing []Missing) string {
	reasons := make([]string, len(missing))
	for i, m := range missing {
		reasons[i] = m.Reason
	}
	return strings.Join(reasons, "; ")
}

// Wait calls Look until no part is missing. It returns a *LateError if the time is over, or the
// error of the context if that ends first.
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
