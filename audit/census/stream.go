package census

import (
	"context"
	"errors"

	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// mayStream reports whether the rest of a span can be read as a stream. The endpoint must have
// answered a page first: a stream names the cluster only at its end, when its keys are already
// counted.
func (s *scan) mayStream(r *span) bool {
	return r.identified && r.left > 0 && !s.endpoints[s.at].paged && !s.live.paged
}

// readStream reads the rest of a span. A member reads a stream in chunks of its own, each of about
// its --max-request-bytes, and counts nothing in between; what it may send ahead is bounded by the
// client's window.
func (s *scan) readStream(ctx context.Context, r *span) error {
	member := s.endpoints[s.at]
	r.keys = 0
	wanted := r.left
	request := etcdrpc.RangeRequest{From: r.from, End: r.end, Revision: s.revision}
	w := &watchdog{patience: s.live.Timeout}
	var keys, size int64 // since the last report
	rest := func() error {
		s.done += keys
		s.report(wanted - r.keys)
		w.pause()
		err := s.pace(ctx, keys, size)
		w.restart()
		keys, size = 0, 0
		return err
	}
	most := s.batch()
	p, err := member.readStream(ctx, request, w, &s.decoder, func(_ *etcdrpc.Page, key, value []byte) error {
		if err := s.countObject(r, request, wanted, key, value); err != nil {
			return err
		}
		keys, size = keys+1, size+int64(len(key)+len(value))
		if keys >= most || size >= pageBytes {
			return rest()
		}
		return nil
	}, func(*etcdrpc.Page) error {
		w.restart() // each chunk has a key, of which there are only so many
		return nil
	})
	s.done += keys
	r.window = window{end: r.end}
	r.left -= r.keys
	if r.keys > 0 {
		s.continueAfter(r)
	}
	if err != nil {
		member.paged = r.keys == 0 && refusesStreams(err)
		switch etcdrpc.MeaningOf(err) {
		case etcdrpc.MethodUnimplemented, etcdrpc.LearnerUnsupported:
			return errNoStream
		default:
			return err
		}
	}
	switch {
	case p.Header.ClusterID != s.clusterID:
		return s.identify(p.Header)
	case p.Header.Revision < s.revision:
		return errOlder
	case p.More || p.Count != r.keys || r.left != 0:
		return errMiscount
	}
	s.report(0)
	return s.pace(ctx, keys, size)
}

// errNoStream means that an endpoint does not answer RangeStream. That is not a fault: the
// endpoint is read in pages.
var errNoStream = errors.New("the endpoint has no RangeStream")

var errOlder = errors.New("the answer is from an older revision than requested")

// refusesStreams reports whether a stream without a key ended in a way that makes another attempt
// useless: something on the way may block streams.
func refusesStreams(err error) bool {
	switch etcdrpc.MeaningOf(err) {
	case etcdrpc.Compacted, etcdrpc.RevisionInFuture, etcdrpc.Denied, etcdrpc.AuthChanged, etcdrpc.NoLeader:
		return false
	default:
		return !errors.Is(err, errInterrupted)
	}
}
