package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// side is one of the two kinds of listener with TLS settings of their own, client and peer. etcd's
// metrics listener uses the client's.
type side struct {
	kind        audit.Kind
	prefix      string // of its flags
	listen      string // the flag with its URLs
	standardURL string // etcd's default URL (server/embed/config.go)
}

func clientSide() side {
	return side{kind: audit.Client, listen: "listen-client-urls", standardURL: "http://localhost:2379"}
}

func peerSide() side {
	return side{kind: audit.Peer, prefix: "peer-", listen: "listen-peer-urls", standardURL: "http://localhost:2380"}
}

func (s side) flag(name string) string { return s.prefix + name }

// listener is one URL that etcd listens on.
type listener struct {
	url      string
	scheme   string
	address  string // host:port; empty for a socket, and if it is unknown
	socket   string // the file of a Unix socket, as etcd makes it of host and path; empty for a port
	httpOnly bool   // one of --listen-client-http-urls

	mayNotStart bool // whether it is started hangs on a setting that is not known
}

func (l listener) tls() bool { return l.scheme == "https" || l.scheme == "unixs" }

// plaintext reports whether the URL is http:// or unix://. For both, etcd ignores the certificate and
// --client-cert-auth: see resolveURL (server/embed/etcd.go).
func (l listener) plaintext() bool { return l.scheme == "http" || l.scheme == "unix" }

func (l listener) onSocket() bool { return l.scheme == "unix" || l.scheme == "unixs" }

// sharesAddress reports whether etcd serves both listeners at one address.
func (l listener) sharesAddress(other listener) bool {
	return l.address == other.address && l.socket == other.socket && l.address+l.socket != ""
}

func (l listener) loopback() bool {
	host, _, err := net.SplitHostPort(l.address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// listeners returns the URLs of a side, or etcd's default if none is set.
func (s side) listeners(r *reading) []listener {
	written := r.value(s.listen)
	if written == "" {
		written = s.standardURL
	}
	listeners := parseListeners(r, s.listen, written)
	if s.kind != audit.Client {
		return listeners
	}
	const http = "listen-client-http-urls"
	split := parseListeners(r, http, r.value(http))
	// Where it has URLs, the others speak gRPC alone, and of two servers on one port only the one
	// with TLS is started (server/embed/serve.go).
	hidden := func(l listener) bool {
		return l.plaintext() && slices.ContainsFunc(listeners, func(other listener) bool { return other.tls() && other.sharesAddress(l) })
	}
	for i, l := range listeners {
		listeners[i].mayNotStart = r.settings.Fault(http) != "" && hidden(l)
	}
	if len(split) == 0 {
		return listeners
	}
	listeners = slices.DeleteFunc(slices.Clone(listeners), hidden)
	for _, l := range split {
		l.httpOnly = true
		listeners = append(listeners, l)
	}
	return listeners
}

func parseListeners(r *reading, flag, list string) []listener {
	var listeners []listener
	for written := range strings.SplitSeq(list, ",") {
		written = strings.TrimSpace(written)
		if written == "" {
			continue
		}
		scheme, _, _ := strings.Cut(strings.ToLower(written), "://")
		if r.settings.Values[flag].Partial && hasUnknownPart(written) && slices.Contains(schemes(), scheme) {
			listeners = append(listeners, listener{url: written, scheme: scheme})
			continue
		}
		u, err := url.Parse(written)
		if err != nil || !slices.Contains(schemes(), u.Scheme) {
			r.addDoubt(fmt.Sprintf("--%s: etcd cannot listen on the URL %q", flag, written))
			continue
		}
		l := listener{url: written, scheme: u.Scheme}
		if l.onSocket() {
			l.socket = u.Host + u.Path
		} else {
			l.address = strings.ToLower(u.Host)
		}
		listeners = append(listeners, l)
	}
	return listeners
}

// schemes returns the schemes of the URLs that etcd listens on.
func schemes() []string { return []string{"http", "https", "unix", "unixs"} }

// hasUnknownPart reports whether a variable or a template stands in a part of a setting.
func hasUnknownPart(text string) bool {
	return strings.Contains(text, "${") || strings.Contains(text, "$(") || strings.Contains(text, "{{")
}

func anyTLS(listeners []listener) bool { return slices.ContainsFunc(listeners, listener.tls) }

// certificate is the source of a side's certificate.
type certificate int

const (
	noCertificate certificate = iota
	halfPair                  // a certificate without its key, or the reverse: etcd does not start
	fromFiles
	generated
)

// certificate returns the source of a side's certificate. It follows Config.ClientSelfCert and
// PeerSelfCert (server/embed/config.go): auto-tls counts only if there are no files.
func (s side) certificate(r *reading) certificate {
	cert, key := r.value(s.flag("cert-file")), r.value(s.flag("key-file"))
	switch {
	case cert != "" && key != "":
		return fromFiles
	case cert != "" || key != "":
		return halfPair
	case r.enabled(s.flag("auto-tls")):
		return generated
	default:
		return noCertificate
	}
}

// demand is the certificate that a side with TLS requires of a caller.
type demand int

const (
	nothing         demand = iota
	nothingForAuto         // because a generated certificate disables the settings for it
	fromTrustedCA          // a certificate of --trusted-ca-file
	fromSystemRoots        // a certificate of any CA that the operating system trusts
)

// demand returns the certificate that a side requires. It follows TLSInfo.ServerConfig
// (client/pkg/transport/listener.go): each of the two settings makes a certificate required, and
// only the file says of which CA. If etcd generates its certificate, SelfCert gives TLS settings
// without either.
func (s side) demand(r *reading) demand {
	if s.certificate(r) == generated {
		return nothingForAuto
	}
	switch {
	case r.value(s.flag("trusted-ca-file")) != "":
		return fromTrustedCA
	case r.enabled(s.flag("client-cert-auth")):
		return fromSystemRoots
	default:
		return nothing
	}
}
