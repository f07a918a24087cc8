package kubeapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/etcdsec/etcdsec/internal/leash"
)

const (
	// loginTimeout is the time for a person to log in.
	loginTimeout = 5 * time.Minute
	// noticeAfter is longer than a login without a person takes.
	noticeAfter = 1500 * time.Millisecond
	// maxCredential is larger than any token, or a certificate with its key.
	maxCredential = 1 << 20
)

// Waiting is a slow login.
type Waiting struct {
	// Way is the method of the login: the path of a program, or "the identity provider" and its URL.
	Way        string
	Kubeconfig string
	User       string    // its name in the kubeconfig
	Until      time.Time // the deadline of the login
}

// loginGuard ends the wait for a login, and with it the program that logs in. client-go gives
// neither the program of an exec plugin nor an identity provider a deadline or a context.
type loginGuard struct {
	base    http.RoundTripper
	waiting Waiting
	notify  func(Waiting)
	leash   *leash.Leash // of the program; nil without one

	mu       sync.Mutex
	notified bool // for the current login
}

type loginKey struct{}

// login tracks the login of one request. A nil login does nothing.
type login struct {
	guard  *loginGuard
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	lasts    bool
	notice   *time.Timer
	deadline *time.Timer
}

// begin starts the time for a login.
func (l *login) begin() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	until := time.Now().Add(loginTimeout) //nolint:forbidigo // the machine's clock, which the timers go by
	l.lasts = true
	l.notice = time.AfterFunc(noticeAfter, func() { l.guard.announce(until) })
	l.deadline = time.AfterFunc(loginTimeout, func() { l.cancel(errLoginTooLong) })
}

// end stops the time for a login, and reports whether a login was under way.
func (l *login) end() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	lasted := l.lasts
	if lasted {
		l.notice.Stop()
		l.deadline.Stop()
	}
	l.lasts = false
	return lasted
}

// announce calls Notify for a slow login, once for all requests that wait for it.
func (p *loginGuard) announce(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.notified || p.notify == nil {
		return
	}
	p.notified = true
	waiting := p.waiting
	waiting.Until = until
	p.notify(waiting)
}

// resetNotice allows announce to report the next slow login.
func (p *loginGuard) resetNotice() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notified = false
}

func (p *loginGuard) RoundTrip(request *http.Request) (*http.Response, error) {
	type result struct {
		response *http.Response
		err      error
	}
	ctx, cancel := context.WithCancelCause(request.Context())
	defer cancel(nil)
	l := &login{guard: p, cancel: cancel}
	// The answer is read after this context has ended, so the request does not get it.
	request = request.WithContext(context.WithValue(request.Context(), loginKey{}, l))
	done := make(chan result, 1)
	l.begin()
	err := p.do(ctx, func() {
		response, err := p.base.RoundTrip(request) //nolint:bodyclose // whoever takes the result closes it
		done <- result{response, err}
	})
	lasted := l.end()
	if err != nil {
		go func() {
			if r := <-done; r.response != nil {
				_ = r.response.Body.Close()
			}
		}()
		if lasted {
			err = &loginError{waiting: p.waiting, cause: err}
		}
		return nil, err
	}
	r := <-done
	if r.err == nil {
		p.resetNotice()
		return r.response, nil
	}
	if !lasted {
		return nil, r.err
	}
	return nil, &loginError{waiting: p.waiting, cause: p.explain(r.err)}
}

// do makes a call and waits until it returns or the context ends.
func (p *loginGuard) do(ctx context.Context, call func()) error {
	if p.leash != nil {
		return p.leash.Do(ctx, call)
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		call()
	}()
	select {
	case <-returned:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// explain returns why a login failed. client-go knows only how the supervisor of the program ended,
// which is not the cause.
func (p *loginGuard) explain(err error) error {
	if p.leash != nil {
		if failed := p.leash.Failure(); failed != nil {
			return failed
		}
	}
	return err
}
