package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Listener is a listener of an etcd of the host, or of an etcd that its API server uses.
type Listener struct {
	Address string // host:port to dial, or the URL of a socket
	// Socket is the file of a Unix socket as the URL has it, and SocketPath where that file is on this
	// machine; both are empty for a port.
	Socket, SocketPath string
	Kind               audit.Kind
	Names              []string        // of the URLs that etcd advertises for it, which its certificate must cover
	Of                 *audit.Settings // of who listens; nil for an etcd of another host
}

// Unreached is a listener of an etcd that cannot be dialled from here.
type Unreached struct {
	URL    string // as written; the origin of the settings where they do not tell it
	Kind   audit.Kind
	Reason string
	Of     *audit.Settings // of who listens
	// Elsewhere is set for a listener that only the processes of another host reach.
	Elsewhere bool
}

// etcd's defaults (server/embed/config.go). There is none for metrics.
const (
	defaultClientURL = "http://localhost:2379"
	defaultPeerURL   = "http://localhost:2380"
)

// addListeners converts the listen URLs of an etcd to addresses that can be dialled. A process
// in another network namespace is reached only at the addresses that it advertises.
func (h *Host) addListeners(o *instance) {
	s := o.settings
	clients, peers := uniqueHosts(s.URLs("advertise-client-urls")), uniqueHosts(s.URLs("initial-advertise-peer-urls"))
	for _, list := range []struct {
		kind       audit.Kind
		flag       string
		standard   string // the URL where nobody sets one; empty if there is none
		advertised []string
		names      []string
	}{
		{audit.Client, "listen-client-urls", defaultClientURL, clients, clients},
		{audit.Client, "listen-client-http-urls", "", clients, nil},
		{audit.Peer, "listen-peer-urls", defaultPeerURL, peers, peers},
		{audit.Metrics, "listen-metrics-urls", "", slices.Concat(clients, peers), nil},
	} {
		unreached := func(url, reason string) {
			h.Unreached = append(h.Unreached, Unreached{URL: makePrintable(url), Kind: list.kind, Reason: reason, Of: s})
		}
		urls, fault := s.URLs(list.flag), s.Fault(list.flag)
		switch {
		case len(urls) > 0 || list.standard == "": // one that need not exist is not said to
		case fault != "":
			unreached(s.Origin, "where it listens is not known: "+fault)
		default:
			urls = []string{list.standard}
		}
		for _, written := range urls {
			if hasUnknownPart(written) {
				unreached(written, "where it listens is not known: "+fault)
				continue
			}
			if l, err := o.socket(written); err != nil {
				h.Unreached = append(h.Unreached, Unreached{URL: makePrintable(written), Kind: list.kind, Reason: err.Error(), Of: s, Elsewhere: s.Remote})
				continue
			} else if l.Socket != "" {
				if slices.ContainsFunc(h.Listeners, func(known Listener) bool { return known.Address == l.Address }) {
					l.Address += " of " + s.Origin // each container has paths of its own
				}
				l.Kind, l.Of = list.kind, s
				h.Listeners = append(h.Listeners, l)
				continue
			}
			address, err := dialAddress(written, list.advertised, o.process != nil && o.process.apart)
			if err != nil {
				unreached(written, err.Error())
				continue
			}
			if slices.ContainsFunc(h.Listeners, func(l Listener) bool { return l.Address == address }) {
				continue
			}
			h.Listeners = append(h.Listeners, Listener{Address: address, Kind: list.kind, Names: list.names, Of: s})
		}
	}
}

// socket returns the listener of a URL of a Unix socket, whose file etcd makes of host and path
// (resolveURL, server/embed/etcd.go). Of another URL it returns one without a socket. Only while the
// etcd runs there is something to dial.
func (o *instance) socket(written string) (Listener, error) {
	u, err := url.Parse(written)
	if err != nil || u.Scheme != "unix" && u.Scheme != "unixs" {
		return Listener{}, nil
	}
	l := Listener{Socket: u.Host + u.Path}
	switch {
	case l.Socket == "":
		return Listener{}, errors.New("it has no path")
	case o.settings.Remote:
		return Listener{}, fmt.Errorf("it is a socket of %s: run etcdsec audit run there", cmp.Or(o.settings.Host, "its host"))
	case o.process == nil:
		return Listener{}, errors.New("a socket is audited only while its etcd runs")
	}
	l.Address = makePrintable(u.Scheme + "://" + o.view.absolute(l.Socket))
	at, err := o.view.find(l.Socket)
	if err != nil {
		return Listener{}, fmt.Errorf("its socket cannot be looked at: %s", explainError(err))
	}
	info, err := at.tree.stat(at.path)
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		err = errors.New("it is no socket")
	}
	if err == nil {
		l.SocketPath, err = at.tree.resolve(at.path)
	}
	if err != nil {
		return Listener{}, fmt.Errorf("its socket cannot be looked at: %s", explainError(err))
	}
	l.SocketPath = at.tree.diskPath(l.SocketPath)
	return l, nil
}

// dialAddress returns where a listen URL is reached. 0.0.0.0 and :: are reached at an
// advertised address, because others use that one, or else at the loopback address.
func dialAddress(written string, advertised []string, apart bool) (string, error) {
	u, err := url.Parse(written)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("listeners with scheme %q are not audited", shorten(u.Scheme))
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		return "", fmt.Errorf("it has no port")
	}
	ip := net.ParseIP(host)
	loopback := ip != nil && ip.IsLoopback() || host == "localhost"
	outer := slices.IndexFunc(advertised, func(name string) bool {
		ip := net.ParseIP(name)
		return name != "" && name != "localhost" && (ip == nil || !ip.IsLoopback() && !ip.IsUnspecified())
	})
	switch {
	case apart && loopback:
		return "", fmt.Errorf("it is on the loopback address of another network namespace")
	case host == "" || ip != nil && ip.IsUnspecified():
		switch {
		case outer >= 0:
			host = advertised[outer]
		case apart:
			return "", fmt.Errorf("it is in another network namespace, and no address of it is advertised")
		case ip != nil && ip.To4() == nil:
			host = "::1"
		default:
			host = "127.0.0.1"
		}
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}

// uniqueHosts returns the hosts of URLs, each once.
func uniqueHosts(urls []string) []string {
	var hosts []string
	for _, written := range urls {
		u, err := url.Parse(written)
		if err != nil || u.Hostname() == "" || slices.Contains(hosts, u.Hostname()) {
			continue
		}
		if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
			continue // nobody's address
		}
		hosts = append(hosts, u.Hostname())
	}
	return hosts
}

// addAPIServer notes the secure port of an API server that runs, and its credentials for etcd.
func (h *Host) addAPIServer(o *instance) {
	s := o.settings
	if port := s.Value("secure-port"); o.process != nil {
		if port == "" {
			port = "6443"
		}
		bind := s.Value("bind-address")
		if bind == "" {
			bind = "0.0.0.0"
		}
		address, err := dialAddress("https://"+net.JoinHostPort(bind, port), []string{s.Value("advertise-address")}, o.process.apart)
		if err == nil {
			h.Listeners = append(h.Listeners, Listener{Address: address, Kind: audit.APIServer, Of: s})
		}
	}
	h.addCredentials(o.view, "kube-apiserver's --etcd-certfile", s.Value("etcd-certfile"), s.Value("etcd-keyfile"), s.Value("etcd-cafile"))
}

// ServersOfAPIServer returns the client ports that the host's API server uses, for a host that
// has no etcd of its own.
func (h *Host) ServersOfAPIServer() []Listener {
	if h.APIServer == nil {
		return nil
	}
	var listeners []Listener
	for _, written := range h.APIServer.URLs("etcd-servers") {
		if address, err := dialAddress(written, nil, false); err == nil && !slices.ContainsFunc(listeners, func(l Listener) bool { return l.Address == address }) {
			listeners = append(listeners, Listener{Address: address, Kind: audit.Client})
		}
	}
	return listeners
}
