package audit

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

// Place holds the known addresses and paths for a remediation. Its methods return the words for the
// lines. A word is a stand-in, such as ADDRESS:2379, if the value is unknown, or if an address has
// characters that no address has: it may come from a server or a file. A spec and an
// EncryptionConfiguration that nobody named have the names that the documentation gives them.
type Place struct {
	AskedAddr   string // "host:port" of the listener, as requested
	HostAddr    string // the host of the member; an IPv6 address is in brackets
	ClientAddr  string // "host:port" of the member's client port
	PeerAddr    string // "host:port" of the member's peer port
	MetricsAddr string // "host:port" of the member's metrics port

	EndpointURLs []string // client URLs of the cluster, with the scheme that they answer to
	MemberID     uint64   // of the member; 0 if it is unknown

	OnHost string // the host that has the target, where its address means another thing on every host; empty elsewhere

	FilePath   string // the file that was judged
	ConfigPath string // the EncryptionConfiguration that the operator named
	SpecPath   string // the cluster spec that the operator named
	StoreDir   string // the store that the operator named
}

// Asked returns the "host:port" of the listener.
func (p Place) Asked() Word { return addressWord(p.AskedAddr, StandIn("ADDRESS:PORT")) }

// Host returns the member's host, without a port.
func (p Place) Host() Word {
	if isHost(strings.Trim(p.HostAddr, "[]")) {
		return Word{text: p.HostAddr}
	}
	return StandIn("ADDRESS")
}

// Client returns the "host:port" of the member's client port.
func (p Place) Client() Word { return addressWord(p.ClientAddr, p.Host().put("", ":2379")) }

// Peer returns the "host:port" of the member's peer port.
func (p Place) Peer() Word { return addressWord(p.PeerAddr, p.Host().put("", ":2380")) }

// Metrics returns the "host:port" of the member's metrics port.
func (p Place) Metrics() Word { return addressWord(p.MetricsAddr, p.Host().put("", ":2381")) }

// Endpoints returns the value of --endpoints, with every known client URL.
func (p Place) Endpoints() Word {
	if len(p.EndpointURLs) == 0 {
		return p.Client().put("https://", "")
	}
	return Word{text: shellword.Quote(strings.Join(p.EndpointURLs, ","))}
}

// Endpoint returns the value of --endpoints for a command that takes one member.
func (p Place) Endpoint() Word {
	p.EndpointURLs = p.EndpointURLs[:min(1, len(p.EndpointURLs))]
	return p.Endpoints()
}

// Revision returns the current revision of the store: a command substitution that asks a member for it.
func (p Place) Revision() Word {
	return p.Endpoint().put("$(etcdctl endpoint status -w json --endpoints=", ` | grep -o '"revision":[0-9]*' | head -n 1 | cut -d : -f 2)`)
}

// Member returns the ID of the member, as etcdctl writes it.
func (p Place) Member() Word {
	if p.MemberID == 0 {
		return StandIn("MEMBER_ID")
	}
	return Word{text: strconv.FormatUint(p.MemberID, 16)}
}

// File returns the path of the file that was judged.
func (p Place) File() Word { return pathWord(p.FilePath, StandIn("FILE")) }

// Config returns the path of the EncryptionConfiguration.
func (p Place) Config() Word { return pathWord(p.ConfigPath, Word{text: "encryption-config.yaml"}) }

// Spec returns the path of the cluster spec. It is "-" if the operator gave standard input.
func (p Place) Spec() Word { return pathWord(p.SpecPath, Word{text: "cluster.yaml"}) }

// Store returns the path of the operator's store.
func (p Place) Store() Word { return pathWord(p.StoreDir, StandIn("DIR")) }

// HTTPS returns the http or https URLs of a member as one word, a list, with https as their scheme.
func HTTPS(urls []string) Word {
	list := make([]string, len(urls))
	for i, written := range urls {
		u, err := url.Parse(written)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return unknownURL()
		}
		address := addressWord(u.Host, unknownURL())
		if address.standIn {
			return address
		}
		list[i] = "https://" + address.text
	}
	if len(list) == 0 {
		return unknownURL()
	}
	return Word{text: strings.Join(list, ",")}
}

func unknownURL() Word { return StandIn("https://ADDRESS:PORT") }

// pathWord writes a path as a word.
func pathWord(path string, unknown Word) Word {
	if path == "" {
		return unknown
	}
	return Word{text: shellword.Path(path)}
}

// addressWord returns an address without quotes, even with the brackets of IPv6: people paste the same
// line into manifests and units, where quotes would become part of the value.
func addressWord(address string, unknown Word) Word {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !isHost(host) {
		return unknown
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return unknown
	}
	return Word{text: address}
}

// isHost reports whether a text is an IP address or could be a host name, so that it is safe in a shell's
// word.
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

// takeListener sets the addresses of a member from one of its ports.
func (p *Place) takeListener(kind Kind, address string) {
	at := strings.LastIndexByte(address, ':')
	if at < 0 || strings.ContainsAny(address, "/ ") { // a socket, or a URL that was not dialled
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

// takeAdvertised sets the addresses of a member from the URLs that its settings advertise.
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

// advertisedURL returns the first URL of a list with a usable address; it has no host if there is none.
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
