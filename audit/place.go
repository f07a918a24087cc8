package audit

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Place holds what is known of where a remediation is to be done. The methods give the words
// for its lines. A word is a stand-in, such as ADDRESS:2379, where nothing is known, and where
// an address has characters that no address has: a server or a file may have said it.
type Place struct {
	AskedAddr   string // "host:port" of the listener, as it was asked for
	HostAddr    string // the host of the member; an IPv6 address is in brackets
	ClientAddr  string // "host:port" of the member's client port
	PeerAddr    string // "host:port" of the member's peer port
	MetricsAddr string // "host:port" of the member's metrics port

	EndpointURLs []string // the client URLs that the operator gave

	OnHost string // the host that has the target, where its address means another thing on every host; empty elsewhere

	FilePath   string // the file that was judged
	ConfigPath string // the EncryptionConfiguration that the operator named
	SpecPath   string // the cluster spec that the operator named
	StoreDir   string // the store that the operator named
}

// Asked returns the "host:port" of the listener.
func (p Place) Asked() Word { return addressWord(p.AskedAddr, "ADDRESS:PORT") }

// Host returns the member's host, without a port.
func (p Place) Host() Word {
	if isHost(strings.Trim(p.HostAddr, "[]")) {
		return Word(p.HostAddr)
	}
	return "ADDRESS"
}

// Client returns the "host:port" of the member's client port.
func (p Place) Client() Word { return addressWord(p.ClientAddr, p.Host()+":2379") }

// Peer returns the "host:port" of the member's peer port.
func (p Place) Peer() Word { return addressWord(p.PeerAddr, p.Host()+":2380") }

// Metrics returns the "host:port" of the member's metrics port.
func (p Place) Metrics() Word { return addressWord(p.MetricsAddr, p.Host()+":2381") }

// Endpoints returns the value of --endpoints: the client URLs that the operator gave.
func (p Place) Endpoints() Word {
	if len(p.EndpointURLs) == 0 {
		return "https://" + p.Client()
	}
	return ShellWord(strings.Join(p.EndpointURLs, ","))
}

// File returns the path of the file that was judged.
func (p Place) File() Word { return pathWord(p.FilePath, "FILE") }

// Config returns the path of the EncryptionConfiguration.
func (p Place) Config() Word { return pathWord(p.ConfigPath, "encryption-config.yaml") }

// Spec returns the path of the cluster spec. It is "-" where the operator gave standard input.
func (p Place) Spec() Word { return pathWord(p.SpecPath, "cluster.yaml") }

// Store returns the path of the operator's store.
func (p Place) Store() Word { return pathWord(p.StoreDir, "DIR") }

// pathWord quotes a path. One that begins with a dash would be taken for a flag.
func pathWord(path string, standIn Word) Word {
	switch {
	case path == "":
		return standIn
	case path != "-" && path[0] == '-':
		return ShellWord("./" + path)
	}
	return ShellWord(path)
}

// addressWord leaves an address without quotes, brackets of IPv6 included: the same line is
// pasted into manifests and units, where quotes would be part of the value.
func addressWord(address string, standIn Word) Word {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !isHost(host) {
		return standIn
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return standIn
	}
	return Word(address)
}

// isHost reports whether a text is an IP address or could be a host name, so that no shell
// finds anything but a part of a word in it.
func isHost(text string) bool {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Zone() == "" || isHostname(ip.Zone())
	}
	return isHostname(text)
}

func isHostname(name string) bool {
	odd := func(c rune) bool {
		return !strings.ContainsRune("-._", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	return name != "" && name[0] != '-' && !strings.ContainsFunc(name, odd)
}

// place returns the files that the operator named, and no address.
func (p *Paths) place() Place { return Place{SpecPath: p.SpecPath, StoreDir: p.StoreDir} }

// takeListener takes the addresses of a member from one of its ports.
func (p *Place) takeListener(kind Kind, address string) {
	at := strings.LastIndexByte(address, ':')
	if at < 0 || strings.ContainsAny(address, "/ ") { // a socket, or a URL that cannot be dialled
		return
	}
	p.AskedAddr, p.HostAddr = address, address[:at]
	switch kind {
	case Client:
		p.ClientAddr = address
	case Peer:
		p.PeerAddr = address
	case Metrics:
		p.MetricsAddr = address
	default: // no port of etcd
	}
}

// takeAdvertised takes the addresses of a member from its settings: those by which others reach it.
func (p *Place) takeAdvertised(s *Settings) {
	client, peer := advertisedURL(s, "advertise-client-urls"), advertisedURL(s, "initial-advertise-peer-urls")
	p.HostAddr = strings.TrimSuffix(client.Host, ":"+client.Port())
	if client.Port() != "" {
		p.ClientAddr = client.Host
	}
	if peer.Port() != "" {
		p.PeerAddr = peer.Host
	}
}

// advertisedURL is the first URL of a list that names somebody's address; without a host if none does.
func advertisedURL(s *Settings, flag string) *url.URL {
	for _, written := range s.URLs(flag) {
		u, err := url.Parse(written)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		ip, err := netip.ParseAddr(u.Hostname())
		if err == nil && ip.Zone() == "" && !ip.IsUnspecified() || err != nil && isHostname(u.Hostname()) {
			return u
		}
	}
	return &url.URL{}
}
