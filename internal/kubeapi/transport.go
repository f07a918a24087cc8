package kubeapi

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// maxAnswer is larger than a page of the largest objects that etcd stores.
const maxAnswer = 64 << 20

// maxRetryAfter is the longest time that a server may request before the next try.
const maxRetryAfter = 5 * time.Second

type budgetKey struct{}

// budget counts the remaining bytes for the answers to some requests.
type budget struct {
	limit int64
	left  atomic.Int64
}

// withBudget limits the total size of all answers to the requests of a context, unless a context
// above it already has a budget.
func withBudget(ctx context.Context, limit int64) context.Context {
	if _, has := ctx.Value(budgetKey{}).(*budget); has {
		return ctx
	}
	b := &budget{limit: limit}
	b.left.Store(limit)
	return context.WithValue(ctx, budgetKey{}, b)
}

// boundedTransport gives each request a deadline, which includes reading the answer, and limits the
// answer to the budget of its context. It is below the transport that logs in, which has its own
// time limit.
type boundedTransport struct {
	base    http.RoundTripper
	timeout time.Duration
}

func (b *boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	login, _ := request.Context().Value(loginKey{}).(*login)
	login.end()
	ctx, cancel := context.WithTimeout(withBudget(request.Context(), maxAnswer), b.timeout)
	response, err := b.base.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	if response.StatusCode == http.StatusUnauthorized {
		login.begin() // client-go logs in anew before it returns that answer
	}
	// client-go waits as long as the server says, and not beyond what a caller would.
	const retryAfter = "Retry-After"
	if seconds, err := strconv.Atoi(response.Header.Get(retryAfter)); err != nil || seconds < 0 || time.Duration(seconds) > maxRetryAfter/time.Second {
		response.Header.Del(retryAfter)
	}
	allowed, _ := ctx.Value(budgetKey{}).(*budget)
	response.Body = &boundedBody{ReadCloser: response.Body, budget: allowed, cancel: cancel}
	return response, nil
}

type boundedBody struct {
	io.ReadCloser
	budget *budget
	cancel context.CancelFunc
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.budget.left.Add(-int64(n)) < 0 {
		return 0, &sizeError{limit: b.budget.limit}
	}
	return n, err
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
