// Package collect observes etcd listeners over the network, for package audit to judge. It does
// all the I/O of the audit. It never writes: it sends GETs, and the gRPC calls Range
// (serializable, keys only, limit 1; also as JSON to a gateway), Status and MemberList (not
// linearizable), none of which makes a raft entry; Range also with a token that is invalid, which
// a member with authentication refuses and logs. It speaks only HTTP/1.1 GET to a peer port. It
// sends ClientHellos without finishing the handshake. Everything is bounded: each probe in time
// and in bytes read, each target in time and in connections.
package collect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	// DefaultTimeout bounds one probe. A member that is up answers in milliseconds, even across a
	// continent.
	DefaultTimeout = 3 * time.Second

	// targetTimeouts bounds a whole target, in timeouts of one probe. There are three
	// phases; a target that is silent in the first sees no second.
	targetTimeouts = 4

	// maxConnections to one listener at a time. etcd has no limit of its own to exhaust,
	// but an audit must not look like an attack either.
	maxConnections = 4

	// DefaultParallel is the number of targets that are observed at a time: the open sockets of a
	// fleet audit stay far below the usual limit of 1024, and a thousand targets that do not
	// answer take a minute.
	DefaultParallel = 64
)

// Config says how to collect. Its zero value audits without credentials.
type Config struct {
	Timeout     time.Duration // of one probe; 0 is DefaultTimeout
	Credentials Credentials
	Faulty      []Faulty         // certificates of trusted CAs with a fault each
	Now         func() time.Time // required
	Parallel    int              // targets at a time; 0 is DefaultParallel
	// OneHandshake observes only what the checks with audit.Check.OneHandshake need.
	OneHandshake bool
	// Progress, when not nil, is called after each target, from several goroutines.
	Progress func(done, total int)
}

// Credentials identify a client to etcd, and verify the servers for it.
type Credentials struct {
	Certificate *tls.Certificate // nil: none
	// Roots verify the server before it is asked anything with Certificate. If it is nil, the
	// server is not verified.
	Roots *x509.CertPool
}

// Collect observes every endpoint and returns one target for each, in their order. A target holds
// the reason for everything that could not be observed; Collect returns an error only if the
// auditor's own preparation fails. When ctx ends, the unfinished targets are returned as
// interrupted and empty: a reader could take half of the observations for all of them.
func Collect(ctx context.Context, endpoints []Endpoint, config Config) ([]*audit.Listener, error) {
	if config.Timeout <= 0 {
		config.Timeout = DefaultTimeout
	}
	if config.Parallel <= 0 {
		config.Parallel = DefaultParallel
	}
	now := config.Now()
	strangers := newStrangers(now)
	foreign, err := strangers.forCA(nil)
	if err != nil {
		return nil, fmt.Errorf("making the foreign certificate to present: %w", err)
	}
	expired, err := newStranger(nil, now.Add(-48*time.Hour))
	if err != nil {
		return nil, fmt.Errorf("making the expired certificate to present: %w", err)
	}

	targets := make([]*audit.Listener, len(endpoints))
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range min(config.Parallel, len(endpoints)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(endpoints)); i = next.Add(1) - 1 {
				p := &prober{
					endpoint:  endpoints[i],
					config:    config,
					now:       now,
					foreign:   foreign,
					expired:   expired,
					strangers: strangers,
					slots:     make(chan struct{}, maxConnections),
				}
				targets[i] = p.observe(ctx)
				if n := done.Add(1); config.Progress != nil {
					config.Progress(int(n), len(endpoints))
				}
			}
		})
	}
	wg.Wait()
	shareMetrics(targets)
	noteEarlier(targets)
	return targets, nil
}

// noteEarlier tells each listener which ones before it are of the same etcd, by its settings.
func noteEarlier(listeners []*audit.Listener) {
	for i, l := range listeners {
		for _, other := range listeners[:i] {
			if l.Settings != nil && other.Settings == l.Settings {
				l.Earlier = append(l.Earlier, other)
			}
		}
	}
}

// observe collects the observations of one target. If the audit is interrupted first, it returns
// the target without them.
func (p *prober) observe(ctx context.Context) *audit.Listener {
	if ctx.Err() == nil {
		t := p.collect(ctx)
		if ctx.Err() == nil {
			return t
		}
	}
	t := p.target()
	t.Reach = audit.Attempt{State: audit.Unclear, Cause: audit.WasInterrupt, Reason: audit.Interrupted}
	return t
}
