package audit

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"time"
)

// Kind tells a listener, a cluster of listeners, and settings on a host apart.
type Kind string

// The kinds of target.
const (
	Client  Kind = "client"
	Peer    Kind = "peer"
	Metrics Kind = "metrics"

	APIServer Kind = "apiserver" // a kube-apiserver's secure port, of which only the CA names are read
	Kubelet   Kind = "kubelet"   // a kubelet's port, likewise

	Cluster Kind = "cluster" // what its listeners say when they are put side by side
	Config  Kind = "config"  // the settings of one etcd, and of the API server beside it, on a host
	Data    Kind = "data"    // what a store holds

	Encryption Kind = "encryption" // a file that says how kube-apiserver encrypts what it stores
	Policies   Kind = "policies"   // what isolates a cluster on the network
)

// Listeners returns the kinds of target that are one of etcd's ports.
func Listeners() []Kind { return []Kind{Client, Peer, Metrics} }

// Target holds everything that was collected about one listener, cluster or etcd's settings. A
// zero attempt in it was not made.
type Target struct {
	// Address is "host:port" of a listener, as it was asked for, the name of a cluster, or
	// "host:origin" of settings.
	Address string
	Kind    Kind
	Now     time.Time // when it was collected

	SpecPath string // the cluster spec that the operator named; empty if none was
	StoreDir string // the store that the operator named; empty if none was

	ExpectedNames []string // DNS names and IP addresses that the certificate must cover, beyond the dialled host
	MinTLSVersion uint16   // the lowest version it may agree to; 0 is TLS 1.2
	// Roots are the CAs that were given to verify servers of etcd; nil if none were.
	Roots *x509.CertPool

	Reach    Attempt       // the TCP connection
	Distance time.Duration // the quickest TCP connection took so long, which is one round trip; 0 if none was made
	RemoteIP netip.Addr    // where the connection went; invalid if none was made

	Plaintext  Page        // GET /version, or /metrics of a metrics listener, over HTTP/1.1 without TLS
	Handshakes []Handshake // in the order in which they are listed in package collect
	Hellos     []Hello     // what the server chooses of suites and groups
	Pages      []Page      // HTTP GETs over TLS and in plaintext
	// ForeignHost and ForeignOrigin are GETs without TLS as a web page can make a browser
	// send them, to a client port that answers plaintext.
	ForeignHost, ForeignOrigin Page
	RPCs                       []RPC // the gRPC calls of package collect, which read and never write

	Version     string   // of the server, as it says itself; empty if it was not read
	VersionFrom string   // where Version was read
	Members     []Member // nil if the list was not read

	ClusterName string         // the spec's name of the cluster that the listener belongs to; empty if none was given
	ClusterID   uint64         // that the member told; 0 if it was not read
	MemberID    uint64         // of the member that answered; 0 if it was not read
	Status      *Status        // of Maintenance Status; nil if it was not read
	Metrics     *MemberMetrics // of GET /metrics; nil if it was not read
	GivenName   string         // the common name of the given client certificate; empty if none was given

	// Settings are those of the etcd that Config is about, or that has this listener. nil: none were found.
	Settings *Settings

	Cluster   []*Target  // the listeners of a Cluster, in the order in which they were asked for
	Snapshots *Snapshots // of a Cluster; nil if nobody said where they are

	Census *Census // of Data; nil if the store was not read

	verification *verification // of Verify
}

// Access tells with what credentials a request came.
type Access string

// The kinds of access, from none to all.
const (
	InPlaintext        Access = "in plaintext"
	WithoutCertificate Access = "over TLS without a client certificate"
	WithCredentials    Access = "with the given client certificate"
)

// Anonymous returns the kinds of access that everybody has.
func Anonymous() []Access { return []Access{InPlaintext, WithoutCertificate} }

// Page is one HTTP GET.
type Page struct {
	Attempt
	Access Access
	Path   string
	Status int // the HTTP status, if Answered
	// Typical is set when the answer is of the kind that etcd gives on this path. It is only
	// looked at where a status alone could be anybody's.
	Typical bool
	// AllowsOrigin is set when the answer lets pages of the foreign origin of the request read it.
	AllowsOrigin bool
}

// The procedures that are called. None of them writes or makes a raft entry.
const (
	RangeRPC      = "Range"      // serializable, keys only, limit 1
	StatusRPC     = "Status"     // of Maintenance
	MemberListRPC = "MemberList" // not linearizable

	// GatewayRange is Range as JSON, to a gateway that a GET has found.
	GatewayRange = "Range through the JSON gateway"

	// With a token that no server gave out. Where etcd's authentication is off, it is not
	// looked at; where it is on, it is refused before anything is read.
	BadTokenRangeRPC      = "Range with an invalid token"
	BadTokenMemberListRPC = "MemberList with an invalid token" // only where the Range was refused
)

// RPC is one gRPC call.
type RPC struct {
	Attempt
	Access  Access
	Method  string
	Code    int           // the gRPC status, if Answered; 0 is OK
	NotGRPC bool          // Answered in HTTP/2, but not as gRPC answers
	Message string        // the server's for people, where Code is not 0
	Refusal Refusal       // what Message says, where it is etcd's own
	Keys    int64         // how many keys a Range said there are
	Took    time.Duration // from the request to the end of the answer, on an open connection; 0 if not Answered
}

// Member is an entry of the member list.
type Member struct {
	ID         uint64
	Name       string // empty until it has started for the first time
	PeerURLs   []string
	ClientURLs []string
	IsLearner  bool
}

// Identity implements Subject.
func (t *Target) Identity() (address string, kind Kind) { return t.Address, t.Kind }

// Page returns the GET of a path with an access; one that was not made is Untried.
func (t *Target) Page(access Access, path string) Page {
	for _, p := range t.Pages {
		if p.Access == access && p.Path == path {
			return p
		}
	}
	return Page{Access: access, Path: path}
}

// RPC returns the call of a method with an access; one that was not made is Untried.
func (t *Target) RPC(access Access, method string) RPC {
	for _, r := range t.RPCs {
		if r.Access == access && r.Method == method {
			return r
		}
	}
	return RPC{Access: access, Method: method}
}

// AnswersPlaintext reports whether a service answered without TLS, over HTTP/1.1 or gRPC.
func (t *Target) AnswersPlaintext() bool {
	return t.Plaintext.State == Answered || t.RPC(InPlaintext, RangeRPC).State == Answered
}

// HasNoTLS reports whether a port that answers without TLS was seen to have none. A handshake
// that took too long shows nothing: one port may speak both.
func (t *Target) HasNoTLS() bool {
	h := t.Agreed(NoCertificate)
	return !h.SpokeTLS && t.AnswersPlaintext() && (h.State == Closed || h.deniesProtocol())
}

// GRPCOnly reports whether a port that answered gRPC with an access was seen to serve no pages
// with the same one: a client listener beside one of --listen-client-http-urls. Such a port
// closes the connection of whoever asks for a page, so that a single closed one shows nothing,
// and none does where another answer was late.
func (t *Target) GRPCOnly(access Access) bool {
	const enough = 2 // one closed connection may be a fault of the network
	turnedAway := 0
	for _, p := range t.Pages {
		if p.Access != access {
			continue
		}
		if p.State != Closed && p.State != Refused {
			return false
		}
		turnedAway++
	}
	grpc := false
	for _, r := range t.RPCs {
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

// HTTPOnly reports whether a port that serves etcd's pages with an access was seen to speak no
// gRPC with it: a listener of --listen-client-http-urls. Such a port answers a call in HTTP/1, or
// closes the connection, so that a single closed one shows nothing, and none does where another
// answer was late. Pages of something else than etcd show nothing either.
func (t *Target) HTTPOnly(access Access) bool {
	const enough = 2 // as in GRPCOnly
	served := t.Version != "" && slices.ContainsFunc(t.Pages, func(p Page) bool { return p.Access == access && p.State == Answered })
	denied, closed := false, 0
	for _, r := range t.RPCs {
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

// NothingListens reports whether the port was found closed. A metrics listener need not exist.
func (t *Target) NothingListens() bool { return t.Reach.State == Refused }

// Interrupted reports whether the audit ended before the target was observed.
func (t *Target) Interrupted() bool { return t.Reach.Cause == WasInterrupt }

// Unreached returns why no connection was made at all, which is why nothing else is known. It
// is empty if one was.
func (t *Target) Unreached() string {
	if t.Interrupted() {
		return Interrupted
	}
	if t.Reach.State == Refused || t.Reach.State == Unclear || t.Reach.State == Closed {
		return "the port was not reached: " + t.Reach.Reason
	}
	return ""
}
