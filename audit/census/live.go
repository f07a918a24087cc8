package census

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

const (
	// DefaultTimeout bounds the reading of one page, of about a MiB.
	DefaultTimeout = 15 * time.Second
	// DefaultRate leaves time for a member's other clients: without a limit, a census keeps one
	// of its cores busy. BenchmarkWriter measures the effect on a writer.
	DefaultRate = 500
)

// Live is a census of the running members of one cluster. It makes serializable Ranges and
// nothing else: no raft entry, no lock, no lease.
type Live struct {
	Endpoints []string // URLs of client ports of the cluster; if one fails, the next takes over
	TLS       *tls.Config
	Layout    Layout
	Known     []audit.Writer // the writers of a configuration; others are recognised by the pattern of their names
	Rate      int            // objects per second, where one larger than 4 KiB counts as several; 0 is no limit
	Timeout   time.Duration  // of one page; 0 is DefaultTimeout

	Now      func() time.Time                 // required
	Progress func(done, total int)            // may be nil
	Warn     func(format string, args ...any) // is told what the operator may want to know at once; may be nil

	paged bool // read in pages even if RangeStream exists, to compare the two
}

// Census reads every object of the cluster at one revision, in bounded memory: by RangeStream if
// a member supports it, else in pages. If it stops early, the census holds the reason, a
// [*StopError], and everything read until then. Census returns an error only for a wrong
// configuration.
func (l Live) Census(ctx context.Context) (audit.Census, error) {
	if l.Timeout <= 0 {
		l.Timeout = DefaultTimeout
	}
	if l.TLS == nil {
		l.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s := scan{live: l, tally: NewTally(l.Layout, l.Known...), limit: firstLimit, started: l.Now()}
	var faults []error
	for _, written := range l.Endpoints {
		e, err := newEndpoint(written, l.TLS, l.Timeout)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		defer e.client.Close()
		s.endpoints = append(s.endpoints, e)
	}
	if err := errors.Join(faults...); err != nil {
		return audit.Census{}, err
	}
	if len(s.endpoints) == 0 {
		return audit.Census{}, errors.New("no endpoint is given")
	}
	err := s.readAll(ctx)
	c := s.tally.Census()
	c.Source = s.source()
	c.Revision, c.Notes, c.Complete = s.revision, s.notes, err == nil
	c.Outside += s.outside
	if err != nil {
		c.Stopped = &StopError{Cause: stopCause(err), Err: err}
		c.Reason = err.Error()
	}
	return c, nil
}

func (s *scan) source() string {
	var addresses []string
	for _, e := range s.endpoints {
		addresses = append(addresses, e.address())
	}
	return strings.Join(addresses, ",")
}

// errInterrupted means that the context ended.
var errInterrupted = errors.New("the census was interrupted")

// readAll reads everything below the prefixes, and counts the keys elsewhere.
func (s *scan) readAll(ctx context.Context) error {
	var denied []error
	for _, prefix := range s.live.Layout.Prefixes() {
		err := s.readBelow(ctx, prefix)
		if isDenied(err) {
			denied = append(denied, err)
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(denied) > 0 && s.tally.Objects() == 0 {
		return denied[len(denied)-1]
	}
	for _, err := range denied {
		// A user for the auditor is made for the prefix of the cluster; the other prefixes
		// are looked below in case that the cluster is another distribution's.
		s.note("%v", err)
	}
	return s.countOutside(ctx)
}

// readBelow reads everything below a prefix: as a whole or, if the user may not read all of it,
// resource by resource.
func (s *scan) readBelow(ctx context.Context, prefix string) error {
	err := s.readPrefix(ctx, prefix)
	if !isDenied(err) {
		return err
	}
	var read, refused []string
	for _, place := range storedPrefixes() {
		switch err := s.readPrefix(ctx, prefix+place+"/"); {
		case err == nil:
			read = append(read, place)
		case isDenied(err):
			refused = append(refused, place)
		default:
			return err
		}
	}
	if len(read) == 0 {
		return err
	}
	return &partlyReadError{prefix: prefix, read: read, refused: len(refused)}
}

// partlyReadError reports that the user may read some resources of a prefix and not all.
type partlyReadError struct {
	prefix  string
	read    []string
	refused int // built-in resources
}

func (e *partlyReadError) Error() string {
	return fmt.Sprintf("the user may not read all of %s: %s were read, and %d other built-in resources and all custom ones were not", e.prefix, joinFirst(e.read), e.refused)
}

// joinFirst joins the first items of a list.
func joinFirst(items []string) string {
	const most = 5
	if len(items) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:most], ", "), len(items)-most)
	}
	return strings.Join(items, ", ")
}

// deniedError means that the user may not read a range.
type deniedError struct {
	prefix, address string
	cause           error
}

func (e *deniedError) Error() string {
	return fmt.Sprintf("reading below %s from %s: %v", e.prefix, e.address, e.cause)
}
func (e *deniedError) Unwrap() error { return e.cause }

func isDenied(err error) bool {
	_, denied := errors.AsType[*deniedError](err)
	return denied
}

// countOutside counts the keys of the whole store.
func (s *scan) countOutside(ctx context.Context) error {
	all := etcdrpc.RangeRequest{From: []byte{0}, End: []byte{0}, Revision: s.revision, CountOnly: true}
	p, err := s.endpoints[s.at].readPage(ctx, all, s.live.Timeout, &s.decoder, func(*etcdrpc.Page, []byte, []byte) error { return etcdrpc.ErrMalformed })
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		s.note("the keys outside the prefixes were not counted: %v", err)
		return nil
	}
	s.outside = max(0, p.Count-s.tally.Objects()-s.tally.outside)
	return nil
}

func (s *scan) note(format string, args ...any) {
	const most = 100 // a store that is compacted every second has more to say
	if len(s.notes) >= most {
		return
	}
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
	if s.live.Warn != nil {
		s.live.Warn(format, args...)
	}
}
