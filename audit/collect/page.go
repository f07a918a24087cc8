package collect

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	// maxBody bounds the bytes read of a page. /version and the text of a refusal are far
	// shorter, and for the other pages only the status counts.
	maxBody = 16 << 10
	// maxMetrics is for /metrics, which etcd 3.7 answers with 0.2 MiB.
	maxMetrics = maxRead - 64<<10
)

// page is the answer to a GET with the beginning of its body, which the target does not keep.
type page struct {
	audit.Page
	body  []byte
	fault *audit.Attempt // what broke the body off; nil if nothing did before the end or the limit
}

// question is one GET, or a POST if it has a body. Its host or origin, if set, differs from the
// endpoint's.
type question struct {
	path         string
	host, origin string
	body         string
}

// session is a connection over which GETs are sent one after the other. over is the raw
// connection, or TLS over it.
type session struct {
	p        *prober
	raw      *conn
	over     io.Writer
	buffered *bufio.Reader
}

func (p *prober) session(raw *conn, over io.ReadWriter) *session {
	return &session{p: p, raw: raw, over: over, buffered: bufio.NewReader(over)}
}

// get sends one HTTP/1.1 request and reports whether the connection can carry another one.
func (s *session) get(q question, last bool) (result page, reusable bool) {
	result.Path = q.path
	request := &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "http", Host: s.p.authority(), Path: q.path},
		Host:   cmp.Or(q.host, s.p.authority()),
		// Whoever reads the server's log shall see what this was.
		Header: http.Header{"User-Agent": {"etcdsec-audit"}},
		Close:  last,
	}
	if q.origin != "" {
		request.Header.Set("Origin", q.origin)
	}
	if q.body != "" {
		request.Method, request.ContentLength = http.MethodPost, int64(len(q.body))
		request.Body = io.NopCloser(strings.NewReader(q.body))
	}
	_ = request.Write(s.over) // as in proveHTTP2, the answer is read in any case
	if first, err := s.buffered.Peek(2); err == nil && first[0] == tlsAlert && first[1] == tlsMajor {
		result.Attempt = audit.Attempt{State: audit.Refused, Cause: audit.NotSpoken, Reason: "the answer is a TLS alert"}
		return result, false
	}
	response, err := s.readResponse(request)
	if err != nil {
		result.Attempt = s.p.failedHandshake(err, s.raw)
		if result.State == audit.Unclear && s.raw.cause(nil) == nil {
			result.Cause, result.Reason = audit.NotSpoken, "the answer is not HTTP"
		}
		return result, false
	}
	defer func() { _ = response.Body.Close() }()
	// A body that breaks off or does not end does not undo the answer; what is missing of it is no
	// statement, though.
	limit := int64(maxBody)
	if q.path == "/metrics" {
		limit = maxMetrics
	}
	if result.body, err = io.ReadAll(io.LimitReader(response.Body, limit)); err != nil {
		fault := s.p.failedHandshake(err, s.raw)
		if response.StatusCode == http.StatusBadRequest { // perhaps the one below
			result.Attempt = fault
			return result, false
		}
		result.fault = &fault
	}
	if response.StatusCode == http.StatusBadRequest && strings.Contains(strings.ToLower(string(result.body)), "to an https server") {
		// net/http's TLS server, to a client without TLS. It is the only thing it says in plaintext.
		result.Attempt = audit.Attempt{State: audit.Refused, Cause: audit.NotSpoken, Reason: "HTTP 400: the server wants TLS"}
		return result, false
	}
	result.State = audit.Answered
	result.Status = response.StatusCode
	result.Typical = isTypical(q.path, response.Header, result.body)
	if !result.Typical && result.fault != nil {
		result.Attempt = *result.fault
	}
	allowed := response.Header.Get("Access-Control-Allow-Origin")
	result.AllowsOrigin = q.origin != "" && (allowed == "*" || allowed == q.origin)
	// What follows an answer before the next question is not the answer to that.
	return result, !last && !response.Close && drain(response.Body) && s.buffered.Buffered() == 0
}

// maxInterim is the number of interim answers (1xx) before an answer that are skipped.
const maxInterim = 5

// readResponse reads the answer to a request. It skips interim answers, which are not the server's
// last word (RFC 9110 section 15.2), but returns one after maxInterim others, and 101, after which
// the server speaks another protocol.
func (s *session) readResponse(request *http.Request) (*http.Response, error) {
	for skipped := 0; ; skipped++ {
		response, err := http.ReadResponse(s.buffered, request)
		if err != nil {
			return nil, err
		}
		if response.StatusCode/100 != 1 || response.StatusCode == http.StatusSwitchingProtocols || skipped == maxInterim {
			response.Close = response.Close || response.StatusCode/100 == 1
			return response, nil
		}
	}
}

// isTypical reports whether an answer is etcd's, for paths that other servers may also have: the
// v2 API by its header (server/etcdserver/api/v2http of 3.5), a proxy's health by its JSON
// (server/proxy/grpcproxy/health.go).
func isTypical(path string, header http.Header, body []byte) bool {
	switch path {
	case "/v2/keys":
		return header.Get("X-Etcd-Cluster-Id") != ""
	case "/proxy/health":
		var health struct {
			Health *string `json:"health"`
		}
		return json.Unmarshal(body, &health) == nil && health.Health != nil
	default:
		return true
	}
}

// drain reads a body to its end, if the end is near: the next answer follows it.
func drain(body io.Reader) bool {
	const rest = 256 << 10
	n, err := io.Copy(io.Discard, io.LimitReader(body, rest))
	return err == nil && n < rest
}

// The first bytes of a TLS record that carries an alert (RFC 8446 section 5.1).
const (
	tlsAlert = 21
	tlsMajor = 3
)

// fetch sends one GET over a new connection.
func (p *prober) fetch(ctx context.Context, access audit.Access, path string) page {
	return p.fetchAll(ctx, access, question{path: path})[0]
}

// fetchAll sends the GETs over as few connections as the server allows: each handshake costs the
// member more than all the pages. After a fault the next GET gets a new connection, so one page
// that hangs does not hide the others. After two faults in a row, fetchAll stops.
func (p *prober) fetchAll(ctx context.Context, access audit.Access, questions ...question) []page {
	pages := make([]page, len(questions))
	var open *session
	closeOpen := func() {
		if open != nil {
			_ = open.raw.Close()
		}
		open = nil
	}
	defer closeOpen()
	faults := 0
	for i, q := range questions {
		if faults == maxFaults {
			pages[i] = page{Page: audit.Page{Attempt: pages[i-1].Attempt, Access: access, Path: q.path}}
			continue
		}
		if open == nil {
			var attempt audit.Attempt
			open, attempt = p.openSession(ctx, access)
			if open == nil {
				pages[i] = page{Page: audit.Page{Attempt: attempt}}
			}
		}
		if open != nil {
			var reusable bool
			pages[i], reusable = open.get(q, i == len(questions)-1)
			if !reusable {
				closeOpen()
			}
		}
		pages[i].Access, pages[i].Path = access, q.path
		if faults++; pages[i].State == audit.Answered {
			faults = 0
		}
	}
	return pages
}

// maxFaults is the number of faults in a row after which the port is taken to serve no pages.
const maxFaults = 2

// openSession opens the connection for the pages. If it cannot, it returns nil and the reason.
func (p *prober) openSession(ctx context.Context, access audit.Access) (*session, audit.Attempt) {
	if access == audit.InPlaintext {
		raw, err := p.dial(ctx)
		if err != nil {
			return nil, p.failedAttempt(err)
		}
		return p.session(raw, raw), audit.Attempt{}
	}
	h, raw, secured := p.handshake(ctx, p.client(access, "http/1.1"))
	if raw == nil {
		return nil, h.Attempt
	}
	return p.session(raw, secured), audit.Attempt{}
}

// client returns the TLS client for an access that works.
func (p *prober) client(access audit.Access, alpn string) client {
	c := client{presented: audit.NoCertificate, alpn: []string{alpn}, minVersion: tls.VersionTLS10}
	if access == audit.WithCredentials {
		c.presented = audit.GivenCertificate
		c.certificate = p.config.Credentials.Certificate
		c.roots = p.config.Credentials.Roots
	}
	return c
}

// serverVersion reads the answer to GET /version.
func serverVersion(body []byte) string {
	var v struct {
		EtcdServer string `json:"etcdserver"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return ""
	}
	return cleanText(v.EtcdServer)
}

// maxText is the longest text from a server in the report; longer text is cut.
const maxText = 200

// cleanText prepares text from a server for a report: short, on one line, without control
// characters that a terminal would obey.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		if isUnprintable(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return s
}

// isUnprintable reports whether a terminal would obey a rune, or the rune ends a line or is not
// text.
func isUnprintable(r rune) bool {
	return r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029' || r == '\ufffd'
}
