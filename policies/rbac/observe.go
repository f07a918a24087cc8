package rbac

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// DefaultObservation is long enough to see API servers and members compact twice at their defaults.
// Each compacts every five minutes; an API server that takes over from another may take ten.
const DefaultObservation = 11 * time.Minute

// ObserveCompaction watches a cluster for the time d, and checks that only etcd compacts. Under the
// plan an API server may not compact, and if etcd does not compact itself, the database grows. Before
// an API server compacts, it writes a key, which shows that it does.
func (l *Live) ObserveCompaction(ctx context.Context, d time.Duration) error {
	admin, err := l.connect(l.Admin, l.Endpoints[0])
	if err != nil {
		return fmt.Errorf("observing compaction: %w", err)
	}
	defer admin.close()
	written, revision, err := admin.lastCompaction(ctx)
	if err != nil {
		return fmt.Errorf("observing compaction: %w", err)
	}
	oldest, err := admin.oldestRevision(ctx, revision)
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
		gone, err := admin.isCompacted(ctx, oldest)
		if err != nil {
			return fmt.Errorf("observing compaction: %w", err)
		}
		now, _, err := admin.lastCompaction(ctx)
		if err != nil {
			return fmt.Errorf("observing compaction: %w", err)
		}
		if now != written {
			return errors.New("observing compaction: an API server compacts etcd, which its user in the plan may not: start every kube-apiserver with --etcd-compaction-interval=0")
		}
		compacted = compacted || gone
	}
	if !compacted {
		return fmt.Errorf("observing compaction: etcd did not compact itself within %s, so its database would fill up: start every member with --auto-compaction-mode=periodic and an --auto-compaction-retention of half that time or less, and make sure that there are writes", d)
	}
	return nil
}

// lastCompaction returns the revision at which an API server last wrote that it compacts, 0 if none
// did, and the revision of the store.
func (m *member) lastCompaction(ctx context.Context) (written, revision int64, err error) {
	err = m.call(ctx, func(ctx context.Context) error {
		answer, err := m.client.Get(ctx, compactRevKey, clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		written, revision = 0, answer.Header.GetRevision()
		for _, key := range answer.Kvs {
			written = key.GetModRevision()
		}
		return nil
	})
	return written, revision, err
}

// isCompacted reports whether a revision is compacted.
func (m *member) isCompacted(ctx context.Context, revision int64) (bool, error) {
	err := m.call(ctx, func(ctx context.Context) error {
		_, err := m.client.Get(ctx, healthKey, clientv3.WithRev(revision), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		return err
	})
	if errors.Is(err, rpctypes.ErrCompacted) {
		return true, nil
	}
	return false, err
}

// oldestRevision returns the first revision that is not compacted. newest is the last one.
func (m *member) oldestRevision(ctx context.Context, newest int64) (int64, error) {
	low, high := int64(1), newest
	for low < high {
		middle := low + (high-low)/2
		gone, err := m.isCompacted(ctx, middle)
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
