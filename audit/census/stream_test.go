package census_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit/census"
)

// streamed puts a RangeResponse into a chunk of a stream.
func streamed(r response) string {
	return framed(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), r.encode()))
}

// serveStream answers a Range with the first keys of forty, and a RangeStream as stream does.
func serveStream(t *testing.T, asked *atomic.Int64, stream func(w http.ResponseWriter, r *http.Request)) census.Live {
	t.Helper()
	first := ascending("/registry/secrets/a/", 16)
	l := live(serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		if r.URL.Path == "/etcdserverpb.KV/RangeStream" {
			asked.Add(1)
			stream(w, r)
			return
		}
		_, _ = io.WriteString(w, framed(response{keys: first, more: true, count: 40}.encode()))
		w.Header().Set("Grpc-Status", "0")
	}))
	l.Layout = census.NewLayout("/registry")
	return l
}

// Whatever a server streams, the census ends, in bounded memory, and claims nothing. The Ranges
// after it are answered with keys that were not asked for, which ends the census.
func TestStreamHostile(t *testing.T) {
	rest := ascending("/registry/secrets/b/", 24)
	for _, c := range []struct {
		name   string
		stream func(w http.ResponseWriter, r *http.Request)
	}{
		{"endless empty chunks", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat(streamed(response{bare: true}), 1000))
			}
		}},
		{"endless in one frame", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "\x00\xff\xff\xff\xff\x0a\xf9\xff\xff\xff\x0f")
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat("\x2a\x05hello", 1000))
			}
		}},
		{"the same keys for ever", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, streamed(response{bare: true, keys: rest[:2]}))
			}
		}},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"wrong order", chunks(streamed(response{bare: true, keys: []string{rest[1], rest[0]}}))},
		{"outside of the prefix", chunks(streamed(response{bare: true, keys: []string{"/zzz"}}))},
		{"before what was asked for", chunks(streamed(response{bare: true, keys: []string{"/registry/secrets/a/a"}}))},
		{"fewer keys than there are", chunks(streamed(response{keys: rest[:3], count: 3}))},
		{"more keys than there are", chunks(streamed(response{keys: ascending("/registry/secrets/b/", 25), count: 25}))},
		{"another count", chunks(streamed(response{keys: rest, count: 23}))},
		{"no last chunk", chunks(streamed(response{bare: true, keys: rest}))},
		{"a chunk after the last", chunks(streamed(response{keys: rest[:23], count: 23}) + streamed(response{bare: true, keys: rest[23:]}))},
		{"another cluster", chunks(streamed(response{keys: rest, count: 24, cluster: 8}))},
		{"an older revision", chunks(streamed(response{keys: rest, count: 24, revision: 41}))},
		{"a huge object", chunks("\x00\x7f\xff\xff\xff\x0a\xf9\xff\xff\xff\x07\x12\xff\xff\xff\x7f" + strings.Repeat("x", 100))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			// The Range before the stream has to be answered in time, also on a busy machine.
			l := serveStream(t, &asked, c.stream)
			l.Timeout = 300 * time.Millisecond
			got := take(t, l)
			for ; asked.Load() == 0 && l.Timeout < time.Minute; l.Timeout *= 4 {
				got = take(t, l)
			}
			if got.Complete || got.Reason == "" || got.Stopped == nil || asked.Load() == 0 {
				t.Errorf("complete: %t: %q; %d streams", got.Complete, got.Reason, asked.Load())
			}
			if got.Objects > 40 {
				t.Errorf("%d objects of 40", got.Objects)
			}
		})
	}
}

// chunks writes a stream that ends with the status OK.
func chunks(all string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, all)
		w.Header().Set("Grpc-Status", "0")
	}
}

// A stream in order is read to its end.
func TestStreamInOrder(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	rest := ascending("/registry/secrets/b/", 24)
	l := serveStream(t, &asked, chunks(streamed(response{bare: true, keys: rest[:10]})+streamed(response{keys: rest[10:], count: 24, revision: 50})))
	whole(t, take(t, l), 40)
	if asked.Load() != 1 {
		t.Errorf("%d streams", asked.Load())
	}
}
