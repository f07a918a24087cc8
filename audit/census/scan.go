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
	// A page should have about a MiB, which a member reads in milliseconds. Until the size of the
	// values is known, a page has few keys: each value may have 1.5 MiB.
	pageBytes  = 1 << 20
	firstLimit = 16
	mostKeys   = 2000
	leastKeys  = 4
	// pagesPerSecond spreads the work evenly if there is a rate: the pages are small, and so few
	// that at most one write in a hundred meets one.
	pagesPerSecond = 2

	// rounds is how many times the census tries all members before it gives up.
	rounds = 4
	pause  = 250 * time.Millisecond
	// mostSetbacks is how often the census goes on after an answer that was not whole but had keys, or
	// after a compaction. A store of ten million objects takes six hours at the default rate, and an API
	// server compacts it every five minutes.
	mostSetbacks = 1000
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
	setbacks  int
	due       time.Duration
	done      int64
}

// span holds the keys of one prefix that are still to be read.
type span struct {
	prefix    string
	from, end []byte
	left      int64 // as the member counted them; negative if it did not yet
	// identified is set when the current endpoint has answered a page at the revision, and no
	// call has failed since.
	identified bool

	window      window
	first, last []byte // of the last page that had any keys
	progress    bool   // keys were read since the last fault
	keys        int64  // of the answer that is read
}

// readPrefix reads every key with a prefix: first a page, which shows the cluster, the revision
// and the number of keys, then the rest, as a stream if the endpoint supports that.
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
	errUnasked  = errors.New("the answer has keys that were not requested")
	errMiscount = errors.New("the answer does not have as many keys as it counts")
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
		return s.countObject(r, request, limit, key, value)
	})
	if r.keys > 0 {
		s.done += r.keys
		s.continueAfter(r)
		r.window.pages++
	}
	if err == nil {
		err = s.identify(p.Header)
	}
	if err != nil {
		if r.left >= 0 {
			r.left = max(r.left-r.keys, 0)
		}
		if late := s.pace(ctx, r.keys, p.Bytes); late != nil {
			return false, late
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

// countObject counts one object of an answer. It fails if the object was not requested or is out
// of order.
func (s *scan) countObject(r *span, request etcdrpc.RangeRequest, most int64, key, value []byte) error {
	inOrder := bytes.Compare(key, request.From) >= 0 && (r.keys == 0 || bytes.Compare(key, r.last) > 0) && isBefore(key, request.End)
	if !inOrder || r.keys == most {
		return errUnasked
	}
	r.keys++
	r.last = append(r.last[:0], key...)
	s.tally.Add(key, value)
	return nil
}

// continueAfter makes the span begin after the last key that was read.
func (s *scan) continueAfter(r *span) {
	r.from = append(append(r.from[:0:0], r.last...), 0)
	r.progress = true
}

func (s *scan) report(left int64) {
	if s.live.Progress != nil {
		s.live.Progress(int(s.done), int(s.done+max(left, 0)))
	}
}

// identify checks that every answer is from one cluster and, after the first, at one revision.
func (s *scan) identify(h etcdrpc.Header) error {
	switch {
	case h.ClusterID == 0 || h.Revision <= 0:
		return etcdrpc.ErrMalformed
	case s.clusterID == 0:
		s.clusterID = h.ClusterID
	case s.clusterID != h.ClusterID:
		return fmt.Errorf("this is a member of another cluster: %x, want %x", h.ClusterID, s.clusterID)
	}
	if s.revision == 0 {
		s.revision = h.Revision
	}
	return nil
}

// setBack counts a setback, and returns an error if there were too many.
func (s *scan) setBack(r *span, fault error) error {
	if s.setbacks++; s.setbacks < mostSetbacks {
		return nil
	}
	return fmt.Errorf("reading below %s from %s, which went wrong %d times: %w", r.prefix, s.endpoints[s.at].address(), s.setbacks, fault)
}

// checkCounts returns an error if an answer lacks keys, or has more than it should.
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

// advance continues after a page, and reports whether anything is left.
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

// isBefore reports whether a key is before the end of a range.
func isBefore(key, end []byte) bool {
	return bytes.Equal(end, []byte{0}) || bytes.Compare(key, end) < 0
}

// resize sets the size of the next page by the values of this one.
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

// batch returns how many keys of a stream are read between two checks of the rate.
func (s *scan) batch() int64 {
	if s.live.Rate <= 0 {
		return mostKeys
	}
	return min(mostKeys, max(int64(s.live.Rate)/pagesPerSecond, leastKeys))
}

// pace waits until the rate allows more reading.
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

// recover prepares the next attempt after an incomplete answer, or returns why there is none.
func (s *scan) recover(ctx context.Context, r *span, fault error) error {
	r.identified = false
	progress := r.progress
	r.progress = false
	if progress {
		s.failures = 0
	}
	if answer, ok := errors.AsType[*etcdrpc.StatusError](fault); ok {
		switch {
		// The newest revision, which is asked for with 0, is never compacted.
		case answer.Meaning == etcdrpc.Compacted && s.revision != 0:
			if err := s.setBack(r, fault); err != nil {
				return err
			}
			s.note("revision %d was compacted during the census; from %s on, the objects are those of the newest revision", s.revision, s.position(r))
			s.revision, r.left, r.window = 0, -1, window{end: r.end}
			return nil
		case answer.Meaning == etcdrpc.Denied:
			return &deniedError{prefix: r.prefix, address: s.endpoints[s.at].address(), cause: answer}
		case isFinal(answer):
			return fmt.Errorf("reading below %s from %s: %w", r.prefix, s.endpoints[s.at].address(), answer)
		}
	}
	if progress {
		if err := s.setBack(r, fault); err != nil {
			return err
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
		s.note("%s: %v; %s takes over", from, fault, next)
	}
	if s.failures%len(s.endpoints) == 0 {
		return wait(ctx, pause*time.Duration(s.failures/len(s.endpoints)))
	}
	return nil
}

// isFinal reports whether every member would give the same answer at any time.
func isFinal(answer *etcdrpc.StatusError) bool {
	return answer.Meaning != etcdrpc.AuthChanged && (answer.Code == etcdrpc.Unauthenticated || answer.Code == etcdrpc.InvalidArgument)
}

// position returns where a span continues, for messages.
func (s *scan) position(r *span) string {
	if o, ok := s.live.Layout.Object(r.last); ok {
		return s.live.Layout.Resource(o) + " " + objectName(o)
	}
	return r.prefix
}
