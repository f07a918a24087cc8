package rbac

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// DefaultObservation covers two rounds of API servers and of members at their defaults: each
// compacts every five minutes, and an API server that takes over from another after up to ten.
const DefaultObservation = 11 * time.Minute

// ObserveCompaction watches who compacts, and wants it to be etcd alone: with the plan's
// permissions an API server's attempts fail, and where etcd does not compact the database grows.
// An API server writes a key before it compacts, which nobody else does.
func (l *Live) ObserveCompaction(ctx context.Context, d time.Duration) error {
	admin := l.as(l.Admin, l.Endpoints[0])
	defer admin.close()
	written, revision, err := admin.compactors(ctx)
	if err != nil {
		return fmt.Errorf("observing compaction: %w", err)
	}
	oldest, err := admin.oldest(ctx, revision)
	if err != nil {
		return fmt.Errorf("observing compaction: %w", err)
	}
	end := time.NewTimer(d)
	defer end.Stop()
	const slowest = 10 * time.Second
	tick := time.NewTicker(max(min(d/50, slowest), time.Millisecond))
	defer tick.Stop()
	progress := time.NewTicker(time.Minute)
	defer progress.Stop()
	left, compacted := d.Round(time.Second), false
	for over := false; !over; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("observing compaction: %w", context.Cause(ctx))
		case <-end.C:
			over = true
		case <-progress.C:
			left -= time.Minute
			l.narrate("no API server compacts so far; %s left", left)
		case <-tick.C:
		}
		// In this order: what an API server compacted, it wrote before.
		gone, err := admin.gone(ctx, oldest)
		if err != nil {
			return fmt.Errorf("observing compaction: %w", err)
		}
		now, _, err := admin.compactors(ctx)
		if err != nil {
			return fmt.Errorf("observing compaction: %w", err)
		}
		if now != written {
			return errors.New("observing compaction: an API server compacts, and as user of the plan it could not: start every kube-apiserver with --etcd-compaction-interval=0")
		}
		compacted = compacted || gone
	}
	if !compacted {
		return fmt.Errorf("observing compaction: etcd did not compact itself within %s, so that its database would fill: start every member with --auto-compaction-mode=periodic and an --auto-compaction-retention of half that time or less, and see that there are writes", d)
	}
	return nil
}

// compactors is the revision at which an API server last wrote that it compacts, and the revision
// of the store.
func (m *member) compactors(ctx context.Context) (written, revision int64, err error) {
	body, err := m.ask(ctx, "KV/Range", message{}.text(1, compactRevKey).number(8, 1))
	if err != nil {
		return 0, 0, err
	}
	err = fields(body, func(field protowire.Number, _ uint64, bytes []byte) error {
		switch field {
		case 1: // ResponseHeader
			return fields(bytes, func(field protowire.Number, number uint64, _ []byte) error {
				if field == 3 {
					revision = int64(number) //nolint:gosec // int64 is its type in the message
				}
				return nil
			})
		case 2: // KeyValue
			return fields(bytes, func(field protowire.Number, number uint64, _ []byte) error {
				if field == 3 {
					written = int64(number) //nolint:gosec // int64 is its type in the message
				}
				return nil
			})
		}
		return nil
	})
	return written, revision, err
}

// gone says whether a revision is compacted.
func (m *member) gone(ctx context.Context, revision int64) (bool, error) {
	a, err := m.call(ctx, "KV/Range", message{}.text(1, healthKey).number(3, 1).number(4, revision).number(8, 1), false)
	if err != nil {
		return false, err
	}
	if a.code != statusOK && strings.HasSuffix(a.message, "required revision has been compacted") {
		return true, nil
	}
	return false, a.err()
}

// oldest is the first revision that is not compacted.
func (m *member) oldest(ctx context.Context, newest int64) (int64, error) {
	low, high := int64(1), newest
	for low < high {
		middle := low + (high-low)/2
		gone, err := m.gone(ctx, middle)
		if err != nil {
			return 0, err
		}
		if gone {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
