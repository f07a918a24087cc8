package collect

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// client is the client's side of a handshake.
type client struct {
	presented              audit.Identity
	certificate            *tls.Certificate // nil: none
	minVersion, maxVersion uint16
	alpn                   []string
	roots                  *x509.CertPool // verify the server by these, or do not finish; nil: any server will do
}

// handshake opens a TLS connection. The observation lacks only the proof that the server accepted
// the client. The connection is nil if the handshake failed.
func (p *prober) handshake(ctx context.Context, c client) (audit.Handshake, *conn, *tls.Conn) {
	h := audit.Handshake{Presented: c.presented, MinVersion: c.minVersion, MaxVersion: c.maxVersion}
	raw, err := p.dial(ctx)
	if err != nil {
		h.Attempt = p.failedAttempt(err)
		return h, nil, nil
	}
	secured := tls.Client(raw, p.tlsConfig(c, &h))
	err = secured.HandshakeContext(ctx)
	h.ALPN = secured.ConnectionState().NegotiatedProtocol
	if err != nil {
		if untrusted, ok := errors.AsType[trustError](err); ok {
			h.Attempt = audit.Attempt{State: audit.Untried, Reason: untrusted.Error()}
		} else {
			h.Attempt = p.failedHandshake(err, raw)
		}
		h.SpokeTLS = h.SpokeTLS || h.State == audit.Refused
		_ = raw.Close()
		return h, nil, nil
	}
	return h, raw, secured
}

// Served returns the certificate chain that a server presents now, leaf first. It presents no
// certificate and sends no data: a server judges its client only after it has sent its own chain.
func Served(ctx context.Context, address string, timeout time.Duration) ([]*x509.Certificate, error) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	p := &prober{endpoint: Endpoint{Address: address}, config: Config{Timeout: timeout}, slots: make(chan struct{}, 1)}
	h, raw, _ := p.handshake(ctx, client{})
	if raw != nil {
		_ = raw.Close() // nothing was sent
	}
	if len(h.Chain) == 0 {
		return nil, fmt.Errorf("%s presents no certificate: %s", address, cmp.Or(h.Reason, "no TLS there"))
	}
	return h.Chain, nil
}

// failedHandshake returns the failed attempt. If both an alert and the end of the connection were
// seen, it reports the alert.
func (p *prober) failedHandshake(err error, raw *conn) audit.Attempt {
	attempt := p.failedAttempt(err)
	if attempt.State == audit.Unclear {
		if below := p.failedAttempt(raw.cause(err)); below.State != audit.Unclear {
			return below
		}
	}
	return attempt
}

// trustError means that the server's chain does not verify against the given CAs.
type trustError struct{ cause error }

func (e trustError) Error() string {
	return "the server does not verify against --cacert: " + e.cause.Error()
}
func (e trustError) Unwrap() error { return e.cause }

func (p *prober) tlsConfig(c client, h *audit.Handshake) *tls.Config {
	return &tls.Config{
		MinVersion: max(c.minVersion, tls.VersionTLS10),
		MaxVersion: cmp.Or(c.maxVersion, p.highest),
		NextProtos: c.alpn,
		ServerName: p.host(),
		// The server is judged, not trusted: an expired or foreign one must be seen too.
		InsecureSkipVerify: true, //nolint:gosec // the purpose of the audit; VerifyConnection verifies where something is asked with credentials
		// A server that accepts only a bad suite must answer too, or it would look closed.
		CipherSuites: allCipherSuites(),
		VerifyConnection: func(state tls.ConnectionState) error {
			h.SpokeTLS, h.Version, h.Chain = true, state.Version, state.PeerCertificates
			p.noteChain(h.Chain)
			if c.roots == nil {
				return nil
			}
			if err := p.verify(h.Chain, c.roots); err != nil {
				return trustError{err}
			}
			return nil
		},
		// The call itself is the proof that a certificate was requested. It presents ours
		// whatever the server says it accepts.
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			h.CertificateRequested = true
			h.AcceptableCAs = info.AcceptableCAs
			if c.certificate == nil {
				return &tls.Certificate{}, nil
			}
			return c.certificate, nil
		},
	}
}

// verification holds the chain that was verified last, and the result.
type verification struct {
	chain []*x509.Certificate
	err   error
}

// verify ignores the names: cert-san-mismatch judges them, and a server with a wrong name but a
// chain to a trusted CA may still be asked for its version. A server presents the same chain on
// every connection, so its signatures are checked once.
func (p *prober) verify(chain []*x509.Certificate, roots *x509.CertPool) error {
	p.mu.Lock()
	last := p.verified
	p.mu.Unlock()
	if len(chain) > 0 && slices.EqualFunc(chain, last.chain, (*x509.Certificate).Equal) {
		return last.err
	}
	err := p.verifyAnew(chain, roots)
	p.mu.Lock()
	p.verified = verification{chain, err}
	p.mu.Unlock()
	return err
}

func (p *prober) verifyAnew(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("the server sent no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   p.now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// proveAdmission makes a handshake and checks whether the server accepted the client.
func (p *prober) proveAdmission(ctx context.Context, c client) audit.Handshake {
	if c.alpn == nil {
		c.alpn = p.proofALPN()
	}
	h, raw, secured := p.handshake(ctx, c)
	if raw == nil {
		return h
	}
	defer func() { _ = raw.Close() }()
	if h.ALPN == "h2" {
		h.Attempt = p.proveHTTP2(raw, secured)
	} else {
		page, _ := p.session(raw, secured).get(question{path: p.versionPath()}, true)
		h.Attempt = page.Attempt
	}
	return h
}

// proofALPN returns the protocols that the handshake offers. The peer and metrics ports advertise h2 and do
// not speak it (the peer port: TLS below cmux, which matches HTTP/1.1 only).
func (p *prober) proofALPN() []string {
	if p.endpoint.Kind == audit.Client {
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}

const (
	frameHeaderSize = 9
	frameSettings   = 0x4
)

// proveHTTP2 reads the header of the server's first HTTP/2 frame, its SETTINGS (RFC 9113
// section 3.4). A TLS 1.3 server that refuses the client sends an alert in its place, so
// this needs no waiting. The client's preface goes first: a listener behind cmux
// says nothing before it.
func (p *prober) proveHTTP2(raw *conn, over io.ReadWriter) audit.Attempt {
	preface := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, 0, 0, frameSettings, 0, 0, 0, 0, 0)
	// The refusal may be on its way already and the write fail; the answer is read in any case.
	_, _ = over.Write(preface)
	var header [frameHeaderSize]byte
	if _, err := io.ReadFull(over, header[:]); err != nil {
		return p.failedHandshake(err, raw)
	}
	if !isSettings(header) {
		return audit.Attempt{State: audit.Unclear, Cause: audit.NotSpoken, Reason: "the answer is not HTTP/2"}
	}
	return audit.Attempt{State: audit.Answered}
}

func isSettings(header [frameHeaderSize]byte) bool {
	length := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
	const settingSize = 6
	return header[3] == frameSettings && header[4] == 0 && bytes.Equal(header[5:], make([]byte, 4)) &&
		length%settingSize == 0 && length <= 64*settingSize
}

func allCipherSuites() []uint16 {
	var ids []uint16
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids = append(ids, suite.ID)
	}
	return ids
}

// host returns the address without the port, and without a zone, which only this host knows. A socket
// has the name that clients of etcd use.
func (p *prober) host() string {
	if p.endpoint.Socket != "" {
		return "localhost"
	}
	host, _, err := net.SplitHostPort(p.endpoint.Address)
	if err != nil {
		return p.endpoint.Address
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}

// authority returns the address as a server is asked for it: without a zone.
func (p *prober) authority() string {
	if p.endpoint.Socket != "" {
		return p.host()
	}
	_, port, err := net.SplitHostPort(p.endpoint.Address)
	if err != nil {
		return p.endpoint.Address
	}
	return net.JoinHostPort(p.host(), port)
}
