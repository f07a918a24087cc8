package collect

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// maxBody is what is read of a page. /version and the text of a refusal are far shorter,
// and of the others only the status counts.
const maxBody = 16 << 10

// page is a GET and the beginning of its body, which the target does not keep.
type page struct {
	audit.Page
	body []byte
}

// get sends one HTTP/1.1 GET and closes the connection. over is raw, or TLS on it.
func (p *prober) get(raw *conn, over io.ReadWriter, path string) page {
	var result page
	result.Path = path
	request := &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "http", Host: p.endpoint.Address, Path: path},
		Host:   p.endpoint.Address,
		// Whoever reads the server's log shall see what this was.
		Header: http.Header{"User-Agent": {"etcdsec-audit"}},
		Close:  true,
	}
	_ = request.Write(over) // as in proveHTTP2, the answer is read in any case
	buffered := bufio.NewReader(over)
	if first, err := buffered.Peek(2); err == nil && first[0] == tlsAlert && first[1] == tlsMajor {
		result.Attempt = audit.Attempt{State: audit.Refused, Reason: "the answer is a TLS alert"}
		return result
	}
	response, err := http.ReadResponse(buffered, request)
	if err != nil {
		result.Attempt = p.failedHandshake(err, raw)
		if result.State == audit.Unclear && raw.cause(nil) == nil {
			result.Reason = "the answer is not HTTP"
		}
		return result
	}
	defer func() { _ = response.Body.Close() }()
	// A body that breaks off or does not end does not undo the answer.
	result.body, _ = io.ReadAll(io.LimitReader(response.Body, maxBody))
	if response.StatusCode == http.StatusBadRequest && strings.Contains(strings.ToLower(string(result.body)), "to an https server") {
		// net/http's TLS server, to a client without TLS. It is the only thing it says in plaintext.
		result.Attempt = audit.Attempt{State: audit.Refused, Reason: "HTTP 400: the server wants TLS"}
		return result
	}
	result.State = audit.Answered
	result.Status = response.StatusCode
	return result
}

// The first bytes of a TLS record that carries an alert (RFC 8446 section 5.1).
const (
	tlsAlert = 21
	tlsMajor = 3
)

// fetch is get over a connection of its own.
func (p *prober) fetch(ctx context.Context, access audit.Access, path string) page {
	var result page
	if access == audit.InPlaintext {
		raw, err := p.dial(ctx)
		if err != nil {
			result.Attempt = p.failedAttempt(err)
		} else {
			result = p.get(raw, raw, path)
			_ = raw.Close()
		}
	} else {
		h, raw, secured := p.handshake(ctx, p.client(access, "http/1.1"))
		if raw == nil {
			result.Attempt = h.Attempt
		} else {
			result = p.get(raw, secured, path)
			_ = raw.Close()
		}
	}
	result.Access, result.Path = access, path
	return result
}

// client is the TLS client of an access that was found to work.
func (p *prober) client(access audit.Access, alpn string) client {
	c := client{presented: audit.NoCertificate, alpn: []string{alpn}, minVersion: tls.VersionTLS10}
	if access == audit.WithCredentials {
		c.presented = audit.GivenCertificate
		c.certificate = p.config.Credentials.Certificate
		c.roots = p.config.Credentials.Roots
	}
	return c
}

// serverVersion reads the answer of GET /version.
func serverVersion(body []byte) string {
	var v struct {
		EtcdServer string `json:"etcdserver"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return ""
	}
	return cleanText(v.EtcdServer)
}

// maxText is the length at which text of a server is cut in the report.
const maxText = 200

// cleanText makes text of a server fit for a report: short, on one line, no control
// characters that a terminal would obey.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029' || r == '\ufffd' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return s
}
