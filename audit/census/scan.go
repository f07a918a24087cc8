package census

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

const (
	// A page is to have about a MiB, which a member reads in milliseconds. Until the size of
	// the values is known it has few keys: each may be of 1.5 MiB.
	pageBytes  = 1 << 20
	firstLimit = 16
	mostKeys   = 2000
	leastKeys  = 4
	// pagesPerSecond is how evenly the work is spread where there is a rate: the pages are
	// small, and too few for more than one in a hundred writes to meet one.
	pagesPerSecond = 2

	// rounds is how often all members are asked in turn before the census gives up.
	rounds = 4
	pause  = 250 * time.Millisecond
)

// scan holds the state of a running census.
type scan struct {
	live      Live
	endpoints []*endpoint
	at        int // the endpoint that is asked
	tally     *Tally
	decoder   etcdrpc.RangeDecoder
	notes     []string
	started   time.Time
	outside   int64

	clusterID uint64
	revision  int64 // 0 until the first answer, and again when it was compacted
	limit     int64
	failures  int // in a row
	due       time.Duration
	done      int64
}

// span holds the keys of one prefix that are still to be read.
type span struct {
	prefix    string
	from, end []byte
	left      int64 // as the member counted them; negative if it did not yet
	// identified is set when the endpoint that is asked has answered a page at the revision, and
	// nothing went wrong since.
	identified bool

	window      window
	first, last []byte // of the last page that had any keys
	keys        int64  // of the answer that is read
}

// readPrefix reads every key with a prefix: first a page, which tells the cluster, the revision and the
// number of keys, then the rest as a stream if the endpoint supports it.
func (s *scan) readPrefix(ctx context.Context, prefix string) error {
	r := &span{prefix: prefix, from: []byte(prefix), end: prefixEnd([]byte(prefix)), left: -1}
	if len(r.end) == 0 {
		r.end = []byte{0} // to the last key of all
	}
	r.window.end = r.end
	for {
		more, err := false, error(nil)
		if s.mayStream(r) {
			err = s.readStream(ctx, r)
		} else {
			more, err = s.readPage(ctx, r)
		}
		switch {
		case ctx.Err() != nil:
			return errInterrupted
		case errors.Is(err, errNoStream): // it is read in pages
			more = true
		case err != nil:
			if err := s.recover(ctx, r, err); err != nil {
				return err
			}
		case !more:
			return nil
		}
	}
}

var (
	errUnasked  = errors.New("the answer has keys that were not asked for")
	errMiscount = errors.New("the answer has other keys than it counts")
)

// readPage reads the next keys of a span, and reports whether there are more.
func (s *scan) readPage(ctx context.Context, r *span) (more bool, err error) {
	limit := s.limit
	r.keys = 0
	request := etcdrpc.RangeRequest{From: r.from, End: r.window.end, Limit: limit, Revision: s.revision}
	p, err := s.endpoints[s.at].readPage(ctx, request, s.live.Timeout, &s.decoder, func(p *etcdrpc.Page, key, value []byte) error {
		if r.keys == 0 {
			if err := s.identify(p.Header); err != nil {
				return err
			}
			r.first = append(r.first[:0], key...)
		}
		return s.take(r, request, limit, key, value)
	})
	if r.keys > 0 {
		s.done += r.keys
		s.goOnBehind(r)
		r.window.pages++
	}
	if err == nil {
		err = s.identify(p.Header)
	}
	if err != nil {
		if r.left >= 0 {
			r.left -= r.keys
		}
		return false, err
	}
	if err := r.checkCounts(p); err != nil {
		return false, err
	}
	s.failures, r.identified = 0, true
	s.resize(p.Bytes, r.keys)
	s.report(r.left)
	if err := s.pace(ctx, r.keys, p.Bytes); err != nil {
		return false, err
	}
	return r.advance(p, limit), nil
}

// take counts one object of an answer, if it is one that was asked for and the next in order.
func (s *scan) take(r *span, request etcdrpc.RangeRequest, most int64, key, value []byte) error {
	inOrder := bytes.Compare(key, request.From) >= 0 && (r.keys == 0 || bytes.Compare(key, r.last) > 0) && before(key, request.End)
	if !inOrder || r.keys == most {
		return errUnasked
	}
	r.keys++
	r.last = append(r.last[:0], key...)
	s.tally.Add(key, value)
	return nil
}

// goOnBehind makes the span begin behind the last key that was read.
func (s *scan) goOnBehind(r *span) {
	r.from = append(append(r.from[:0:0], r.last...), 0)
	s.failures = 0
}

func (s *scan) report(left int64) {
	if s.live.Progress != nil {
		s.live.Progress(s.done, s.done+max(left, 0))
	}
}

// identify keeps to one cluster and, from the first answer on, to one revision.
func (s *scan) identify(h etcdrpc.Header) error {
	switch {
	case h.ClusterID == 0 || h.Revision <= 0:
		return etcdrpc.ErrMalformed
	case s.clusterID == 0:
		s.clusterID = h.ClusterID
	case s.clusterID != h.ClusterID:
		return fmt.Errorf("this is a member of another cluster, %x and not %x", h.ClusterID, s.clusterID)
	}
	if s.revision == 0 {
		s.revision = h.Revision
	}
	return nil
}

// checkCounts finds an answer that leaves out keys, or has more than there are.
func (r *span) checkCounts(p etcdrpc.Page) error {
	if p.More && (r.keys == 0 || p.Count <= r.keys) || !p.More && p.Count != r.keys {
		return errMiscount
	}
	if r.window.depth == 0 {
		if r.left >= 0 && r.left != p.Count {
			return errMiscount
		}
		r.left = p.Count
	}
	if r.left >= 0 {
		r.left -= r.keys
	}
	if r.left < 0 {
		return errMiscount
	}
	return nil
}

// advance goes on behind a page, and reports whether there is anything left.
func (r *span) advance(p etcdrpc.Page, limit int64) bool {
	switch {
	case r.left == 0:
		return false
	case p.More && p.Count > windowPages*limit:
		r.window.narrow(r.first, r.last, r.from, len(r.prefix))
	case !p.More:
		r.from = r.window.end
		r.window.next(r.end, len(r.prefix))
	}
	return true
}

// before reports whether a key is in a range that ends there.
func before(key, end []byte) bool {
	return bytes.Equal(end, []byte{0}) || bytes.Compare(key, end) < 0
}

// resize fits the next page to the values of this one.
func (s *scan) resize(size, keys int64) {
	if keys == 0 {
		return
	}
	const growth = 4
	s.limit = min(s.limit*growth, pageBytes/max(size/keys, 1), mostKeys)
	if s.live.Rate > 0 {
		s.limit = min(s.limit, int64(s.live.Rate)/pagesPerSecond)
	}
	s.limit = max(s.limit, leastKeys)
}

// batch returns how many keys of a stream are read before the rate is looked at.
func (s *scan) batch() int64 {
	if s.live.Rate <= 0 {
		return mostKeys
	}
	return min(mostKeys, max(int64(s.live.Rate)/pagesPerSecond, leastKeys))
}

// pace waits until the rate allows to read on.
func (s *scan) pace(ctx context.Context, keys, size int64) error {
	if s.live.Rate <= 0 {
		return nil
	}
	const unit = 4 << 10
	s.due += time.Duration(max(keys, size/unit)) * time.Second / time.Duration(s.live.Rate)
	elapsed := s.live.Now().Sub(s.started)
	// What was not used is not made up for: a burst is what the rate is against.
	s.due = max(s.due, elapsed)
	return wait(ctx, s.due-elapsed)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errInterrupted
	}
}

// recover prepares for the next attempt after an answer that was not read to its end, or returns
// why there is none.
func (s *scan) recover(ctx context.Context, r *span, fault error) error {
	r.identified = false
	if answer, ok := errors.AsType[*etcdrpc.StatusError](fault); ok {
		switch {
		case answer.Meaning == etcdrpc.Compacted:
			s.note("revision %d was compacted while it was read; from %s on, the objects are those of the newest revision", s.revision, s.position(r))
			s.revision, r.left, r.window = 0, -1, window{end: r.end}
			return nil
		case answer.Meaning == etcdrpc.Denied:
			return &deniedError{prefix: r.prefix, address: s.endpoints[s.at].address(), cause: answer}
		case isFinal(answer):
			return fmt.Errorf("reading below %s from %s: %w", r.prefix, s.endpoints[s.at].address(), answer)
		}
	}
	s.failures++
	s.limit = max(s.limit/2, leastKeys) // it may have been too much for the time
	from := s.endpoints[s.at].address()
	if s.failures >= rounds*len(s.endpoints) {
		return fmt.Errorf("reading below %s from %s: %w", r.prefix, from, fault)
	}
	s.at = (s.at + 1) % len(s.endpoints)
	if next := s.endpoints[s.at].address(); next != from {
		s.note("%s: %v; %s goes on", from, fault, next)
	}
	if s.failures%len(s.endpoints) == 0 {
		return wait(ctx, pause*time.Duration(s.failures/len(s.endpoints)))
	}
	return nil
}

// isFinal reports whether no other member, and no other time, would give another answer.
func isFinal(answer *etcdrpc.StatusError) bool {
	return answer.Meaning != etcdrpc.AuthChanged && (answer.Code == etcdrpc.Unauthenticated || answer.Code == etcdrpc.InvalidArgument)
}

// position returns where a span goes on, for people.
func (s *scan) position(r *span) string {
	if o, ok := s.live.Layout.Object(r.last); ok {
		return s.live.Layout.Resource(o) + " " + objectName(o)
	}
	return r.prefix
}
