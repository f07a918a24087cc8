package snapshot

import (
	"context"

	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// Finding the current revision of an object, and finding out who wrote it, take about the
// same time, most of which is waiting for memory. The one is done while the other is.

const (
	batchSize = 1024
	batches   = 4 // on their way; more do not make it faster
)

// counter counts what it receives, in order, in its own goroutine, until a context ends.
type counter struct {
	full, empty chan []etcddb.Revision
	batch       []etcddb.Revision
	done        chan error
}

func newCounter(ctx context.Context, count func(etcddb.Revision)) *counter {
	c := &counter{full: make(chan []etcddb.Revision, batches), empty: make(chan []etcddb.Revision, batches), done: make(chan error, 1)}
	for range batches {
		c.empty <- make([]etcddb.Revision, 0, batchSize)
	}
	c.batch = <-c.empty
	go func() {
		err := etcddb.Guard(func() error {
			for batch := range c.full {
				if err := ctx.Err(); err != nil {
					c.empty <- batch[:0]
					return err
				}
				for _, f := range batch {
					count(f)
				}
				c.empty <- batch[:0]
			}
			return nil
		})
		// After an error there are still batches to take, or who sends them waits for ever.
		for batch := range c.full {
			c.empty <- batch[:0]
		}
		c.done <- err
	}()
	return c
}

func (c *counter) add(f etcddb.Revision) {
	c.batch = append(c.batch, f)
	if len(c.batch) == batchSize {
		c.full <- c.batch
		c.batch = <-c.empty
	}
}

// end waits until everything is counted. The caller must always call it, even after an error.
func (c *counter) end() error {
	c.full <- c.batch
	close(c.full)
	return <-c.done
}
