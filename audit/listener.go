package audit

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"time"
)

// Listener is a [Target] that holds everything that was collected about one port: of etcd, or of an API
// server or a kubelet, for which the audit tries only the handshake without a certificate. A zero
// [Attempt] was not made.
type Listener struct {
	Address string    // "host:port", as requested, or the URL of a Unix socket
	Socket  string    // the file of a Unix socket, as etcd's URL has it; empty for a port
	Kind    Kind      // one of Listeners, APIServer or Kubelet
	Now     time.Time // when it was collected
	Paths
	Observer

	ExpectedNames []string // DNS names and IP addresses that the certificate must cover, beyond the dialled host
	MinTLSVersion uint16   // the lowest version it may accept; 0 means TLS 1.2
	// Roots holds the CAs that were given to verify etcd servers; nil if none were given.
	Roots *x509.CertPool
	// RootsUnused is set by [NoteUnusedRoots]: no server of the audit has a chain to Roots.
	RootsUnused bool

	Reach    Attempt       // the TCP connection
	Distance time.Duration // the time of the fastest TCP connection, which is one round trip; 0 if none was made
	RemoteIP netip.Addr    // where the connection went; invalid if none was made

	Plaintext  Page        // GET /version, or /metrics of a metrics listener, over HTTP/1.1 without TLS
	Handshakes []Handshake // in the order of package collect
	// OtherChains lists the chains that the server sent in the handshakes before pages and calls, each
	// once, in a stable order; Chains joins them with those of Handshakes.
	OtherChains [][]*x509.Certificate
	Hellos      []Hello // the server's choices of suites and groups
	Pages       []Page  // HTTP GETs over TLS and in plaintext
	// ForeignHost and ForeignOrigin are GETs without TLS as a web page can make a browser
	// send them, to a client port that answers plaintext.
	ForeignHost, ForeignOrigin Page
	RPCs                       []RPC // the gRPC calls of package collect, which read and never write

	Version     string   // that the server reports; empty if it was not read
	VersionFrom string   // where Version was read
	Members     []Member // nil if the list was not read

	ClusterName string         // the spec's name of the cluster that the listener belongs to; empty if none was given
	ClusterID   uint64         // that the member told; 0 if it was not read
	MemberID    uint64         // of the member that answered; 0 if it was not read
	Status      *Status        // of Maintenance Status; nil if it was not read
	Metrics     *MemberMetrics // of GET /metrics; nil if it was not read
	MetricsFrom string         // the address of the member's metrics port, where Metrics are of that; empty elsewhere
	GivenName   string         // the common name of the given client certificate; empty if none was given

	// Settings are those of the etcd that has this listener; nil if none were found.
	Settings *Settings
	// Earlier lists the listeners with the same settings that come before this one in the audit.
	Earlier []*Listener

	verification *verification // of Verify
}

// UnseenListener returns a listener that is known to be there and was not observed. Every check
// of it is unknown, with the reason.
func UnseenListener(address string, kind Kind, reason string) *Listener {
	return &Listener{Address: address, Kind: kind, Reach: Attempt{State: Unclear, Reason: reason}}
}

// Identity implements Subject.
func (l *Listener) Identity() (address string, kind Kind) { return l.Address, l.Kind }

// Place implements Subject.
func (l *Listener) Place() Place {
	p := l.place()
	p.OnHost = l.hostOf(l.Socket != "" || isLocalAddress(l.Address) || isLocalIP(l.RemoteIP))
	if slices.Contains(Listeners(), l.Kind) {
		p.takeListener(l.Kind, l.Address)
	}
	if l.Kind == Client {
		p.EndpointURLs = []string{l.clientURL()}
	}
	p.MemberID = l.MemberID
	return p
}

// clientURL returns the URL at which a client reaches the listener.
func (l *Listener) clientURL() string {
	if l.Socket != "" {
		return l.Address
	}
	if l.HasNoTLS() {
		return "http://" + l.Address
	}
	return "https://" + l.Address
}

// Page returns the GET of a path with an access; it is [Untried] if it was not made.
func (l *Listener) Page(access Access, path string) Page {
	for _, p := range l.Pages {
		if p.Access == access && p.Path == path {
			return p
		}
	}
	return Page{Access: access, Path: path}
}

// RPC returns the call of a method with an access; it is [Untried] if it was not made.
func (l *Listener) RPC(access Access, method string) RPC {
	for _, r := range l.RPCs {
		if r.Access == access && r.Method == method {
			return r
		}
	}
	return RPC{Access: access, Method: method}
}

// AnswersPlaintext reports whether a service answered without TLS, over HTTP/1.1 or gRPC.
func (l *Listener) AnswersPlaintext() bool {
	return l.Plaintext.State == Answered || l.RPC(InPlaintext, RangeRPC).State == Answered
}

// HasNoTLS reports whether a port that answers without TLS showed that it has no TLS. A handshake that
// took too long shows nothing: one port may speak both.
func (l *Listener) HasNoTLS() bool {
	h := l.Agreed(NoCertificate)
	return !h.SpokeTLS && l.AnswersPlaintext() && (h.State == Closed || h.deniesProtocol())
}

// GRPCOnly reports whether a port that answered gRPC with an access showed that it serves no pages with
// it, such as a client listener next to one of --listen-client-http-urls. Such a port closes the
// connection if a client asks for a page. One closed connection shows nothing, and closed connections
// show nothing if another answer was late.
func (l *Listener) GRPCOnly(access Access) bool {
	const enough = 2 // one closed connection may be a fault of the network
	turnedAway := 0
	for _, p := range l.Pages {
		if p.Access != access {
			continue
		}
		if p.State != Closed && p.State != Refused {
			return false
		}
		turnedAway++
	}
	grpc := false
	for _, r := range l.RPCs {
		if r.Access != access {
			continue
		}
		if r.Cause == TimedOut {
			return false
		}
		grpc = grpc || r.State == Answered && !r.NotGRPC
	}
	return turnedAway >= enough && grpc
}

// HTTPOnly reports whether a port that serves etcd's pages with an access showed that it speaks no gRPC
// with it, such as a listener of --listen-client-http-urls. Such a port answers a call in HTTP/1, or
// closes the connection. One closed connection shows nothing, and closed connections show nothing if
// another answer was late. Pages of a server other than etcd also show nothing.
func (l *Listener) HTTPOnly(access Access) bool {
	const enough = 2 // as in GRPCOnly
	served := l.Version != "" && slices.ContainsFunc(l.Pages, func(p Page) bool { return p.Access == access && p.State == Answered })
	denied, closed := false, 0
	for _, r := range l.RPCs {
		if r.Access != access || r.Method == GatewayRange {
			continue
		}
		switch {
		case r.NotGRPC, r.deniesProtocol():
			denied = true
		case r.State == Closed:
			closed++
		case r.State != Untried:
			return false
		}
	}
	return served && (denied || closed >= enough)
}

// HasNoGateway reports whether the port said that it has no JSON gateway for an access.
func (l *Listener) HasNoGateway(access Access) bool {
	return l.Page(access, GatewayPath).Withheld()
}

// NothingListens reports whether the port is closed. A metrics listener is optional.
func (l *Listener) NothingListens() bool { return l.Reach.State == Refused }

// Interrupted reports whether the audit ended before the target was observed.
func (l *Listener) Interrupted() bool { return l.Reach.Cause == WasInterrupt }

// Unreached returns why no connection was possible, so that nothing else is known. It is empty if one
// was made.
func (l *Listener) Unreached() string {
	if l.Interrupted() {
		return Interrupted
	}
	if l.Reach.State == Refused || l.Reach.State == Unclear || l.Reach.State == Closed {
		what := "port"
		if l.Socket != "" {
			what = "socket"
		}
		return "the " + what + " was not reached: " + l.Reach.Reason
	}
	return ""
}
