package collect

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdrpc"
)

// prober observes one target.
type prober struct {
	endpoint Endpoint
	config   Config
	now      time.Time
	foreign  *tls.Certificate
	expired  *tls.Certificate // of a foreign CA
	slots    chan struct{}    // one for each connection that may be open

	strangers *strangers
	// highest is the highest version that the server accepts in an offer, if it refuses offers of
	// a higher one; else 0.
	highest uint16

	mu                  sync.Mutex
	reach               audit.Attempt
	remoteIP            netip.Addr
	distance            time.Duration // the quickest connection; 0 if none was made
	clusterID, memberID uint64        // that the member told
	verified            verification
	chains              [][]*x509.Certificate // of all handshakes, each once
}

// target returns the endpoint's target, of which nothing was observed yet.
func (p *prober) target() *audit.Listener {
	return &audit.Listener{
		Address:       p.endpoint.Address,
		Socket:        p.endpoint.Socket,
		Kind:          p.endpoint.Kind,
		Now:           p.now,
		ExpectedNames: p.endpoint.ExpectedNames,
		MinTLSVersion: p.endpoint.MinTLSVersion,
		ClusterName:   p.endpoint.ClusterName,
		Settings:      p.endpoint.Settings,
		GivenName:     commonName(p.config.Credentials.Certificate),
	}
}

// collect observes in three phases: which protocols the port speaks; which clients it accepts;
// what it answers to them, and which suites and groups it chooses. Each phase depends on the
// results of the one before. The tasks of one phase run in parallel.
func (p *prober) collect(ctx context.Context) *audit.Listener {
	ctx, cancel := context.WithTimeout(ctx, targetTimeouts*p.config.Timeout)
	defer cancel()
	t := p.target()
	if t.Kind == audit.APIServer || t.Kind == audit.Kubelet {
		// Not etcd's: no more is asked than which CAs it trusts.
		t.Handshakes = []audit.Handshake{p.proveAdmission(ctx, client{presented: audit.NoCertificate})}
		t.Reach, t.RemoteIP = p.reach, p.remoteIP
		return t
	}
	t.Roots = p.config.Credentials.Roots
	if p.config.OneHandshake {
		p.observeOnce(ctx, t)
		return t
	}
	p.probeProtocols(ctx, t)
	t.Reach, t.RemoteIP = p.reach, p.remoteIP
	p.tryTLS12(ctx, t)
	if t.Handshake(audit.NoCertificate).SpokeTLS {
		p.presentIdentities(ctx, t)
	}
	runParallel([]func(){
		func() { p.readAnswers(ctx, t) },
		func() { t.Hellos = p.askHellos(ctx, t) },
	})
	t.Distance = p.distance
	t.OtherChains = p.otherChains()
	return t
}

// otherChains returns the chains of all handshakes. They arrived in any order.
func (p *prober) otherChains() [][]*x509.Certificate {
	slices.SortFunc(p.chains, func(a, b []*x509.Certificate) int {
		return slices.CompareFunc(a, b, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	})
	return p.chains
}

// noteChain keeps a chain that the server sent.
func (p *prober) noteChain(chain []*x509.Certificate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chains = audit.AddChain(p.chains, chain)
}

// observeOnce makes one handshake. If the port has no TLS, it tries plaintext.
func (p *prober) observeOnce(ctx context.Context, t *audit.Listener) {
	anonymous := p.proveAdmission(ctx, client{presented: audit.NoCertificate})
	t.Handshakes = []audit.Handshake{anonymous}
	p.tryTLS12(ctx, t)
	if !anonymous.SpokeTLS {
		plaintext := p.fetch(ctx, audit.InPlaintext, p.versionPath())
		t.Plaintext = plaintext.Page
		p.noteVersion(t, plaintext)
	}
	t.Reach, t.RemoteIP = p.reach, p.remoteIP
}

// tryTLS12 tries TLS 1.2 after a server refused a client before they agreed on a version, as a
// server does whose key TLS 1.3 does not support. If TLS 1.2 works, no later client offers more.
func (p *prober) tryTLS12(ctx context.Context, t *audit.Listener) {
	anonymous := t.Handshake(audit.NoCertificate)
	if anonymous.State != audit.Refused || anonymous.Version != 0 {
		return
	}
	lower := p.proveAdmission(ctx, upToTLS12())
	t.Handshakes = append(t.Handshakes, lower)
	p.highest = lower.Version
}

func upToTLS12() client {
	return client{presented: audit.NoCertificate, minVersion: tls.VersionTLS12, maxVersion: tls.VersionTLS12}
}

// probeProtocols tries HTTP/1.1 and gRPC in plaintext, and TLS: one port can serve all
// of them, and etcd's does when --listen-client-urls has it with http:// and https://.
func (p *prober) probeProtocols(ctx context.Context, t *audit.Listener) {
	var plaintext page
	var call audit.RPC
	var anonymous audit.Handshake
	tasks := []func(){
		func() { plaintext = p.fetch(ctx, audit.InPlaintext, p.versionPath()) },
		func() { anonymous = p.proveAdmission(ctx, client{presented: audit.NoCertificate}) },
	}
	if t.Kind == audit.Client {
		tasks = append(tasks, func() { call = p.countKeys(ctx, audit.InPlaintext) })
	}
	runParallel(tasks)
	t.Plaintext = plaintext.Page
	t.Handshakes = append(t.Handshakes, anonymous)
	if t.Kind == audit.Client {
		t.RPCs = append(t.RPCs, call)
	}
	p.noteVersion(t, plaintext)
}

// presentIdentities presents the remaining identities and offers the remaining versions.
func (p *prober) presentIdentities(ctx context.Context, t *audit.Listener) {
	clients := []client{{presented: audit.NoCertificate, minVersion: tls.VersionTLS10, maxVersion: tls.VersionTLS11}}
	if t.HandshakeUpTo(tls.VersionTLS12).State == audit.Untried {
		clients = append(clients, upToTLS12())
	}
	anonymous := t.Agreed(audit.NoCertificate)
	if anonymous.CertificateRequested {
		clients = append(clients, client{presented: audit.ForeignCA, certificate: p.foreign})
		if len(anonymous.AcceptableCAs) > 0 {
			imitation, err := p.strangers.forCA(anonymous.AcceptableCAs[0])
			if err == nil {
				clients = append(clients, client{presented: audit.ForeignCASameName, certificate: imitation})
			} else {
				t.Handshakes = append(t.Handshakes, audit.Handshake{
					Presented: audit.ForeignCASameName,
					Attempt:   audit.Attempt{Reason: "imitating the name of the trusted CA: " + cleanText(err.Error())},
				})
			}
		}
	}
	if given := p.config.Credentials.Certificate; given != nil {
		clients = append(clients, client{presented: audit.GivenCertificate, certificate: given})
	}
	if anonymous.CertificateRequested {
		clients = append(clients, p.faultyClients()...)
	}
	handshakes := make([]audit.Handshake, len(clients))
	tasks := make([]func(), len(clients))
	for i, c := range clients {
		tasks[i] = func() { handshakes[i] = p.proveAdmission(ctx, c) }
	}
	runParallel(tasks)
	if roots := p.config.Credentials.Roots; roots != nil {
		for i, h := range handshakes {
			if err := p.verify(h.Chain, roots); err != nil && h.Presented == audit.GivenCertificate {
				handshakes[i].TrustFault = trustError{err}.Error()
			}
		}
	}
	t.Handshakes = append(t.Handshakes, handshakes...)
}

// readAnswers reads everything that each working access can read.
func (p *prober) readAnswers(ctx context.Context, t *audit.Listener) {
	var tasks []func()
	var calls []audit.RPC
	accesses := workingAccesses(t)
	pages := make([][]page, len(accesses))
	for i, access := range accesses {
		tasks = append(tasks, func() { pages[i] = p.fetchAll(ctx, access, p.questions()...) })
	}
	if t.Kind == audit.Client && t.AnswersPlaintext() {
		tasks = append(tasks, func() { t.ForeignHost, t.ForeignOrigin = p.askAsBrowser(ctx) })
	}
	var status *audit.Status
	var members []audit.Member
	var standing []audit.RPC
	if t.Kind == audit.Client && len(accesses) > 0 {
		best := accesses[len(accesses)-1]
		calls = make([]audit.RPC, 2, 3)
		tasks = append(tasks,
			func() { calls[0], status = p.askStatus(ctx, best) },
			func() { calls[1], members = p.listMembers(ctx, best) },
			func() { standing = p.askStanding(ctx, best) },
		)
		if t.Agreed(audit.NoCertificate).State == audit.Answered {
			calls = append(calls, audit.RPC{})
			tasks = append(tasks, func() { calls[2] = p.countKeys(ctx, audit.WithoutCertificate) })
		}
	}
	runParallel(tasks)
	for _, page := range slices.Concat(pages...) {
		t.Pages = append(t.Pages, page.Page)
		p.noteVersion(t, page)
		noteMetrics(t, page)
	}
	t.RPCs = append(t.RPCs, calls...)
	t.RPCs = append(t.RPCs, standing...)
	if status != nil && status.Version != "" {
		t.Version, t.VersionFrom = status.Version, "Status "+string(calls[0].Access)
	}
	t.Status, t.Members = status, members
	t.ClusterID, t.MemberID = p.clusterID, p.memberID
	p.askAgain(ctx, t)
	p.askGateways(ctx, t)
}

// workingAccesses returns the kinds of access that the port accepted, the best last.
func workingAccesses(t *audit.Listener) []audit.Access {
	var working []audit.Access
	if t.AnswersPlaintext() {
		working = append(working, audit.InPlaintext)
	}
	if t.Agreed(audit.NoCertificate).State == audit.Answered {
		working = append(working, audit.WithoutCertificate)
	}
	if given := t.Handshake(audit.GivenCertificate); given.State == audit.Answered && given.TrustFault == "" {
		working = append(working, audit.WithCredentials)
	}
	return working
}

// questions returns the GETs for the pages that a listener of the kind may have.
func (p *prober) questions() []question {
	paths := map[audit.Kind][]string{
		audit.Client:  {"/version", audit.GatewayPath, "/v2/keys", "/proxy/health", "/debug/vars", "/debug/pprof/", "/debug/requests", "/metrics"},
		audit.Peer:    {"/version", "/members"},
		audit.Metrics: {"/metrics"},
	}[p.endpoint.Kind]
	questions := make([]question, len(paths))
	for i, path := range paths {
		questions[i].path = path
	}
	return questions
}

// askAsBrowser sends the requests that a browser sends for a web page of another site.
func (p *prober) askAsBrowser(ctx context.Context) (foreignHost, foreignOrigin audit.Page) {
	const elsewhere = "etcdsec-audit.invalid" // RFC 2606: nobody's name
	pages := p.fetchAll(ctx, audit.InPlaintext,
		question{path: "/version", host: elsewhere},
		question{path: "/version", origin: "http://" + elsewhere},
	)
	return pages[0].Page, pages[1].Page
}

// versionPath returns the path of a harmless page that every listener of the kind serves.
func (p *prober) versionPath() string {
	if p.endpoint.Kind == audit.Metrics {
		return "/metrics" // a metrics listener has no /version
	}
	return "/version"
}

func (p *prober) noteVersion(t *audit.Listener, page page) {
	if page.Path != "/version" || page.Status != 200 {
		return
	}
	if version := serverVersion(page.body); version != "" && t.Version == "" {
		t.Version, t.VersionFrom = version, "GET /version "+string(page.Access)
	}
}

// askAgain repeats a plaintext Range whose connection was closed, if the port serves pages in
// plaintext: one closed connection does not prove that the port has no gRPC.
func (p *prober) askAgain(ctx context.Context, t *audit.Listener) {
	at := slices.IndexFunc(t.RPCs, func(r audit.RPC) bool { return r.Access == audit.InPlaintext && r.Method == audit.RangeRPC })
	if at < 0 || t.Plaintext.State != audit.Answered || t.RPCs[at].State == audit.Answered || t.RPCs[at].State == audit.Unclear {
		return
	}
	again := p.countKeys(ctx, audit.InPlaintext)
	t.RPCs = append(t.RPCs, t.RPCs[at])
	t.RPCs[at] = again
}

func (p *prober) countKeys(ctx context.Context, access audit.Access) audit.RPC {
	result, message := p.call(ctx, access, audit.RangeRPC)
	if result.State == audit.Answered && result.Code == 0 {
		keys, err := rangeCount(message)
		if err != nil {
			result.Code, result.Message = int(etcdrpc.Unknown), err.Error()
		}
		result.Keys = keys
	}
	return result
}

func (p *prober) askStatus(ctx context.Context, access audit.Access) (audit.RPC, *audit.Status) {
	result, message := p.call(ctx, access, audit.StatusRPC)
	if result.State != audit.Answered || result.Code != 0 {
		return result, nil
	}
	status, err := readStatus(message)
	if err != nil {
		result.Code, result.Message = int(etcdrpc.Unknown), err.Error()
	}
	return result, status
}

func (p *prober) listMembers(ctx context.Context, access audit.Access) (audit.RPC, []audit.Member) {
	result, message := p.call(ctx, access, audit.MemberListRPC)
	if result.State != audit.Answered || result.Code != 0 {
		return result, nil
	}
	members, err := readMembers(message)
	if err != nil {
		result.Code, result.Message = int(etcdrpc.Unknown), err.Error()
	}
	return result, members
}

// runParallel runs the tasks in parallel and waits for all. The prober's slots bound the
// connections.
func runParallel(tasks []func()) {
	var wg sync.WaitGroup
	for _, task := range tasks {
		wg.Go(task)
	}
	wg.Wait()
}
