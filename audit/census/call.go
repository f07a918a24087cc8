package census

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// endpoint is one client port.
type endpoint struct {
	client *etcdrpc.Client
	// paged is set if the endpoint does not answer RangeStream: it is older than etcd 3.7, a
	// learner, a proxy, or behind something that blocks streams.
	paged bool
}

func newEndpoint(written string, config *tls.Config, timeout time.Duration) (*endpoint, error) {
	u, err := parseEndpoint(written)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" {
		config = nil
	}
	return &endpoint{client: etcdrpc.New(etcdrpc.Config{Address: u.Host, TLS: config, Timeout: timeout, Agent: "etcdsec-census"})}, nil
}

// parseEndpoint reads an endpoint as etcdctl does: host:port, with https unless it begins with
// http://.
func parseEndpoint(written string) (*url.URL, error) {
	u, err := url.Parse(written)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		u, err = url.Parse("https://" + written)
	}
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Port() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("endpoint %q: want https://host:port, or http://host:port of a member without TLS", written)
	}
	if port, err := strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
		return nil, fmt.Errorf("endpoint %q: want a port from 1 to 65535", written)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// address returns the endpoint for messages.
func (e *endpoint) address() string { return e.client.Address() }

// readPage makes one Range call, which must end within timeout.
func (e *endpoint) readPage(ctx context.Context, r etcdrpc.RangeRequest, timeout time.Duration, d *etcdrpc.RangeDecoder, add etcdrpc.AddFunc) (p etcdrpc.Page, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, &etcdrpc.TimeoutError{After: timeout})
	defer cancel()
	call := etcdrpc.Call{Method: etcdrpc.RangeMethod, Message: r.Message(), Timeout: timeout}
	err = e.client.Do(ctx, call, func(body io.Reader) error {
		var err error
		p, err = d.Decode(body, add)
		return err
	})
	if errors.Is(err, etcdrpc.ErrNoMessage) {
		err = etcdrpc.ErrMalformed
	}
	return p, err
}

// readStream makes one RangeStream call. The call has no deadline, because a census at a low rate
// reads it slowly, but the caller must restart w in time.
func (e *endpoint) readStream(ctx context.Context, r etcdrpc.RangeRequest, w *watchdog, d *etcdrpc.RangeDecoder, add etcdrpc.AddFunc, chunk func(*etcdrpc.Page) error) (p etcdrpc.Page, err error) {
	ctx, stop := w.start(ctx)
	defer stop()
	call := etcdrpc.Call{Method: etcdrpc.RangeStreamMethod, Message: r.Message()}
	err = e.client.Do(ctx, call, func(body io.Reader) error {
		var err error
		p, err = d.DecodeStream(body, add, chunk)
		return err
	})
	if errors.Is(err, etcdrpc.ErrNoMessage) || err == nil && !p.Finished() {
		err = etcdrpc.ErrMalformed
	}
	return p, err
}

// watchdog ends a call that sends nothing for some time.
type watchdog struct {
	patience time.Duration
	timer    *time.Timer
}

func (w *watchdog) start(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.patience, func() { cancel(&etcdrpc.TimeoutError{After: w.patience}) })
	return ctx, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

// pause stops the clock while the census does not read.
func (w *watchdog) pause() { w.timer.Stop() }

// restart starts the clock again, because something was read.
func (w *watchdog) restart() { w.timer.Reset(w.patience) }
