package collect

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// An interim answer is not the server's last word, and what follows an answer is not the answer to the
// next question.
func TestAnswerOfTheQuestion(t *testing.T) {
	const (
		hints    = "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"
		served   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		withheld = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	)
	for _, c := range []struct {
		name   string
		first  string // answer to GET /version; every other page is served
		status int    // of /version
	}{
		{"interim answers", strings.Repeat(hints, maxInterim) + withheld, 404},
		{"interim answers without end", strings.Repeat(hints, 1000), 103},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n" + withheld, 101},
		{"two answers", withheld + withheld, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newProber(serveConns(t, func(conn net.Conn) {
				request := make([]byte, 4096)
				for {
					n, err := conn.Read(request)
					if err != nil {
						return
					}
					answer := served
					if strings.HasPrefix(string(request[:n]), "GET /version ") {
						answer = c.first
					}
					_, _ = io.WriteString(conn, answer)
				}
			}))
			pages := p.fetchAll(t.Context(), audit.InPlaintext, question{path: "/version"}, question{path: "/metrics"})
			if got := pages[0]; got.State != audit.Answered || got.Status != c.status || got.Exposed() {
				t.Errorf("/version: %+v", got.Page)
			}
			if got := pages[1]; !got.Exposed() {
				t.Errorf("/metrics: %+v", got.Page)
			}
		})
	}
}

// What a gateway answers counts only where HTTP and gRPC say the same.
func TestAnswerOfTheGateway(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		code   int
		keys   int64
		denies bool
	}{
		{name: "keys", status: 200, body: `{"header":{"revision":"9"},"count":"7"}`, keys: 7},
		{name: "no user", status: 400, body: `{"code":3,"message":"etcdserver: user name is empty"}`, code: 3, denies: true},
		{name: "denied", status: 403, body: `{"code":7,"message":"etcdserver: permission denied"}`, code: 7, denies: true},
		{name: "denied, in a fault", status: 503, body: `{"code":7,"message":"etcdserver: permission denied"}`, code: 2},
		{name: "denied, in a success", status: 200, body: `{"code":16,"message":"etcdserver: permission denied"}`, code: 2},
		{name: "a part", status: 206, body: `{"header":{},"count":"7"}`, code: 2},
		{name: "another's JSON", status: 200, body: `{"ok":true}`, code: 2},
		{name: "no JSON", status: 403, body: `forbidden`, code: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := page{Page: audit.Page{Attempt: audit.Attempt{State: audit.Answered}, Status: c.status}, body: []byte(c.body)}
			got := gatewayRange(audit.InPlaintext, answer)
			if got.Code != c.code || got.Keys != c.keys || got.DeniesCaller() != c.denies {
				t.Errorf("got %+v", got)
			}
		})
	}
}
