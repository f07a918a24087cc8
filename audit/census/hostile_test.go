package census_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit/census"
)

// response is a RangeResponse of a member.
type response struct {
	keys  []string
	value string
	more  bool
	count int64
	bare  bool // without a header

	cluster, revision uint64 // 0 is 7 and 42
}

func (r response) encode() []byte {
	var b []byte
	if !r.bare {
		var header []byte
		header = protowire.AppendVarint(protowire.AppendTag(header, 1, protowire.VarintType), cmp.Or(r.cluster, 7))
		header = protowire.AppendVarint(protowire.AppendTag(header, 3, protowire.VarintType), cmp.Or(r.revision, 42))
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), header)
	}
	for _, key := range r.keys {
		kv := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
		kv = protowire.AppendString(protowire.AppendTag(kv, 5, protowire.BytesType), r.value)
		b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), kv)
	}
	if r.more {
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), 1)
	}
	if r.bare && r.count == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), uint64(r.count))
}

func framed(message []byte) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))) + string(message)
}

// serveHTTP2 answers every request over HTTP/2 without TLS.
func serveHTTP2(t *testing.T, handle http.HandlerFunc) (endpoint string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handle, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// silence is the reason that the census gives when a page stays away or ends too early.
const silence = "no answer within 300ms"

// Whatever a server answers, the census ends, in bounded memory, and claims nothing.
func TestLiveHostile(t *testing.T) {
	grpc := func(body, status, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, body)
			if status != "" {
				w.Header().Set("Grpc-Status", status)
				w.Header().Set("Grpc-Message", message)
			}
		}
	}
	answer := func(r response) http.HandlerFunc { return grpc(framed(r.encode()), "0", "") }
	const x = "/kubernetes.io/secrets/a/x"
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		reason string
	}{
		{"no gRPC", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "HTTP 200 and not gRPC"},
		{"an error page", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "HTTP 502 and not gRPC"},
		{"an error of gRPC", grpc("", "14", "etcdserver: no leader%1b[2J"), "etcdserver: no leader?[2J"},
		{"an error after keys", grpc(framed(response{keys: []string{x}, count: 1}.encode()), "13", "oops"), "keys that were not requested"}, // again, from the next one on,
		{"no status", grpc(framed(response{}.encode()), "", ""), "no gRPC status"},
		{"no message", grpc("", "0", ""), "malformed"},
		{"compressed", grpc("\x01\x00\x00\x00\x00", "0", ""), "compressed"},
		{"cut off", grpc(framed(response{count: 1}.encode())[:8], "0", ""), "before the end of the answer"},
		{"more than the message", grpc(framed(response{}.encode())+"x", "0", ""), "malformed"},
		{"garbage in the message", grpc(framed([]byte(strings.Repeat("\xff", 100))), "0", ""), "malformed"},
		{"another protobuf", grpc(framed([]byte("\x0d\x01\x02\x03\x04")), "0", ""), "malformed"},
		{"no header", answer(response{bare: true}), "malformed"},
		{"no header before keys", answer(response{bare: true, keys: []string{x}, count: 1}), "malformed"},
		{"a huge object", grpc("\x00\x7f\xff\xff\xff"+"\x12\xff\xff\xff\x7f"+strings.Repeat("x", 100), "0", ""), "no more than 8 MiB are read"},
		{"keys of another range", answer(response{keys: []string{"/zzz"}, count: 1}), "keys that were not requested"},
		{"the same key twice", answer(response{keys: []string{x, x}, count: 2}), "keys that were not requested"},
		{"more keys than the limit", answer(response{keys: ascending(x, 20), count: 20}), "keys that were not requested"},
		{"fewer keys than counted", answer(response{count: 2}), "does not have as many keys as it counts"},
		{"more without keys", answer(response{more: true, count: 9}), "does not have as many keys as it counts"},
		{"more than are counted", answer(response{keys: []string{x}, more: true, count: 1}), "keys that were not requested"},
		{"a count below 0", answer(response{count: -1}), "does not have as many keys as it counts"},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, silence},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_, _ = io.WriteString(w, "\x00\xff\xff\xff\xff")
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat("\x2a\x05hello", 1000)) // a field that nobody knows
			}
		}, silence},
		{"the first page again", answer(response{keys: []string{x}, more: true, count: 1 << 40}), "keys that were not requested"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := live(serveHTTP2(t, c.handle))
			if c.reason == silence { // what answers is waited for, also on a busy machine
				l.Timeout = 300 * time.Millisecond
			}
			got := take(t, l)
			if got.Complete || !strings.Contains(got.Reason, c.reason) || strings.ContainsAny(got.Reason, "\x1b\n") {
				t.Errorf("complete: %t: %q, want %q in it", got.Complete, got.Reason, c.reason)
			}
		})
	}
}

// A member that always has a reason to begin again is given up, whatever it says.
func TestLiveEndless(t *testing.T) {
	const compacted = "etcdserver: mvcc: required revision has been compacted"
	page := func(i int64) string {
		return framed(response{keys: []string{fmt.Sprintf("/kubernetes.io/secrets/a/x%08d", i)}, more: true, count: 1 << 40, revision: 100 + uint64(i)}.encode())
	}
	for _, c := range []struct {
		name   string
		answer func(i int64) (body, status, message string)
		most   int64 // requests
	}{
		{"the newest revision is compacted", func(int64) (string, string, string) { return "", "11", compacted }, 50},
		{"every revision is compacted", func(i int64) (string, string, string) {
			if i%2 == 0 {
				return page(i), "0", ""
			}
			return "", "11", compacted
		}, 4000},
		{"an error after each key", func(i int64) (string, string, string) { return page(i), "13", "oops" }, 4000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			address := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // or the connection ends with the answer
				body, status, message := c.answer(requests.Add(1) - 1)
				w.Header().Set("Content-Type", "application/grpc")
				w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
				_, _ = io.WriteString(w, body)
				w.Header().Set("Grpc-Status", status)
				w.Header().Set("Grpc-Message", message)
			})
			l := live(address)
			l.Endpoints = slices.Repeat(l.Endpoints, 5) // the next is asked at once where one alone would be waited for
			got := take(t, l)
			if got.Complete || got.Reason == "" || requests.Load() > c.most {
				t.Errorf("complete: %t: %q, %d requests", got.Complete, got.Reason, requests.Load())
			}
		})
	}
}

// ascending is n keys after one, in order.
func ascending(after string, n int) []string {
	var keys []string
	for i := range n {
		keys = append(keys, after+string(rune('a'+i)))
	}
	return keys
}

// The same from what does not even speak HTTP/2.
func TestLiveRawFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		serve  func(net.Conn)
		reason string
	}{
		{"closed at once", func(net.Conn) {}, ""},
		{"garbage", func(c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("garbage\n", 100)) }, ""},
		{"an HTTP/1 server", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, ""},
		{"silence", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, silence},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						c.serve(conn)
						_ = conn.Close()
					}()
				}
			}()
			l := live(listener.Addr().String())
			if c.reason == silence {
				l.Timeout = 300 * time.Millisecond
			}
			got := take(t, l)
			if got.Complete || got.Reason == "" || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("complete: %t: %q", got.Complete, got.Reason)
			}
		})
	}
}

// An object larger than any buffer is read, and so is one after it.
func TestDecoderLargeObjects(t *testing.T) {
	first := true
	l := live(serveHTTP2(t, func(w http.ResponseWriter, _ *http.Request) {
		r := response{}
		if first {
			r = response{keys: []string{"/kubernetes.io/secrets/a/x", "/kubernetes.io/secrets/a/y"}, value: strings.Repeat("x", 5<<20), count: 2}
		}
		first = false
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(w, framed(r.encode()))
		w.Header().Set("Grpc-Status", "0")
	}))
	got := take(t, l)
	whole(t, got, 2)
}

// A store that is made to use memory: every object is of a resource, a namespace and a key of
// its own, all with long names.
func TestTallyBounded(t *testing.T) {
	tally := census.NewTally(census.DefaultLayout())
	long := strings.Repeat("n", 250)
	const n = 200_000
	value := []byte("k8s:enc:secretbox:v1:00000000" + long + ":" + strings.Repeat("\x00", 60))
	key := []byte("/registry/00000000.example.com/" + long + "/00000000" + long + "/00000000" + long)
	number := func(b []byte, at, i int) {
		for d := 7; d >= 0; d-- {
			b[at+d] = byte('0' + i%10)
			i /= 10
		}
	}
	before := heap()
	for i := range n {
		number(value, len("k8s:enc:secretbox:v1:"), i)
		number(value, len(value)-8, i)
		number(key, len("/registry/"), i%5000)
		number(key, len("/registry/00000000.example.com/")+len(long)+1, i)
		number(key, len(key)-8-len(long), i)
		tally.Add(key, value)
	}
	if used, most := heap()-before, int64(40<<20); used > most {
		t.Errorf("%d MiB are used", used>>20)
	}
	c := tally.Census()
	var objects, unlisted, leftOut int64
	for _, r := range c.Resources {
		objects += r.Objects
		leftOut += r.NamespacesLeftOut
		for _, w := range r.Writers {
			if w.Provider == "unlisted" {
				unlisted += w.Objects
			}
		}
	}
	if objects != n || c.Objects != n || unlisted == 0 || leftOut == 0 || len(c.Resources) != 4097 {
		t.Errorf("%d of %d objects in %d resources, %d by unlisted writers, %d in unlisted namespaces", objects, c.Objects, len(c.Resources), unlisted, leftOut)
	}
	runtime.KeepAlive(tally)
}

// Names that do not print look the same when they are cleaned, and take no memory of their own.
func TestTallyUnprintable(t *testing.T) {
	tally := census.NewTally(census.DefaultLayout())
	const n = 100_000
	key := []byte("/registry/" + strings.Repeat("\x01", 300) + "/a/b")
	before := heap()
	for i := range n {
		for bit := range 20 {
			key[20+bit] = byte(1 + i>>bit&1)
		}
		tally.Add(key, []byte("k8s\x00"))
	}
	if used, most := heap()-before, int64(8<<20); used > most {
		t.Errorf("%d MiB are used", used>>20)
	}
	if c := tally.Census(); c.Objects != n || len(c.Resources) != 1 || c.Resources[0].Objects != n {
		t.Errorf("%d objects in %d resources", c.Objects, len(c.Resources))
	}
	runtime.KeepAlive(tally)
}

// Each resource with each writer would take memory for a sample that is not kept any more.
func TestTallySamples(t *testing.T) {
	tally := census.NewTally(census.DefaultLayout())
	const resources, writers = 1000, 300
	value := []byte("k8s:enc:secretbox:v1:w000:" + strings.Repeat("\x00", 60))
	before := heap()
	for r := range resources {
		key := fmt.Appendf(nil, "/registry/r%04d/a/b", r)
		for w := range writers {
			copy(value[len("k8s:enc:secretbox:v1:w"):], fmt.Sprintf("%03d", w))
			tally.Add(key, value)
		}
	}
	if used, most := heap()-before, int64(12<<20); used > most {
		t.Errorf("%d MiB are used", used>>20)
	}
	runtime.KeepAlive(tally)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
