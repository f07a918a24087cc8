package barrier_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/barrier"
)

// missing makes reasons out of names.
func missing(names ...string) []barrier.Missing {
	var all []barrier.Missing
	for _, name := range names {
		all = append(all, barrier.Missing{Name: name, Reason: name + " is old"})
	}
	return all
}

// It waits for the last, and tells each change once.
func TestWait(t *testing.T) {
	t.Parallel()
	looks := [][]barrier.Missing{missing("a", "b"), missing("a", "b"), missing("b"), nil}
	var told []string
	b := barrier.Barrier{
		Want: "become new", Within: time.Minute, Every: time.Millisecond,
		Look: func(context.Context) ([]barrier.Missing, error) {
			now := looks[0]
			looks = looks[1:]
			return now, nil
		},
		Narrate: func(m []barrier.Missing) { told = append(told, barrier.Reasons(m)) },
	}
	if err := b.Wait(t.Context()); err != nil || len(looks) > 0 {
		t.Errorf("%v, %d looks left", err, len(looks))
	}
	if got := strings.Join(told, "|"); got != "a is old; b is old|b is old" {
		t.Errorf("told %q", got)
	}
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("it cannot come")
	b := barrier.Barrier{Want: "become new", Within: 20 * time.Millisecond, Every: time.Millisecond}

	b.Look = func(context.Context) ([]barrier.Missing, error) { return missing("b"), nil }
	late, is := errors.AsType[*barrier.LateError](b.Wait(t.Context()))
	if !is || len(late.Missing) != 1 || late.Missing[0].Name != "b" || !strings.Contains(late.Error(), "until each has become new: b is old") {
		t.Errorf("late: %v", late)
	}
	// A look has no more time than the whole.
	b.Look = func(ctx context.Context) ([]barrier.Missing, error) { <-ctx.Done(); return nil, ctx.Err() }
	if err := b.Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a look without end: %v", err)
	}
	b.Within = time.Minute
	b.Look = func(context.Context) ([]barrier.Missing, error) { return missing("b"), broken }
	if err := b.Wait(t.Context()); !errors.Is(err, broken) {
		t.Errorf("broken: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.Look = func(context.Context) ([]barrier.Missing, error) { cancel(); return missing("b"), nil }
	if err := b.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
