package cluster

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Isolation lists who may reach etcd, and what enforces it.
type Isolation struct {
	Backends     []Backend
	Scrapers     []netip.Prefix
	Backups      []netip.Prefix
	PodCIDRs     []netip.Prefix
	NodeCIDRs    []netip.Prefix
	PodAddresses PodAddresses
	MemberNodes  []Label
	Pods         Pods
}

// PodAddresses names the source address that a node sees in packets from Pods of other nodes.
type PodAddresses string

// The kinds of source addresses.
const (
	// Masqueraded is the address of the Pod's own node. A rule that lets in a node also lets in its
	// Pods. Most Kubernetes networks do this.
	Masqueraded PodAddresses = "masqueraded"
	// Routed is the Pod's own address.
	Routed PodAddresses = "routed"
)

// Label is a Kubernetes label. The value may be empty.
type Label struct{ Key, Value string }

func (l Label) String() string { return l.Key + "=" + l.Value }

// Pods selects the members and the Pods that reach them, if etcd is on the Pod network.
type Pods struct {
	Etcd                       PodSelector
	APIServer, Scraper, Backup PodSelector // zero if they are known by address
}

// PodSelector selects Pods of one namespace by labels.
type PodSelector struct {
	Namespace string
	Labels    []Label
}

// IsZero reports whether the selector is empty.
func (s PodSelector) IsZero() bool { return s.Namespace == "" && len(s.Labels) == 0 }

// Backend names the software that enforces the isolation.
type Backend string

// The backends.
const (
	BackendNetworkPolicy        Backend = "networkpolicy"
	BackendCalico               Backend = "calico"
	BackendCilium               Backend = "cilium"
	BackendClusterNetworkPolicy Backend = "clusternetworkpolicy"
	BackendNftables             Backend = "nftables"
	BackendSystemd              Backend = "systemd"
)

// Backends returns every backend, in the order in which help names them.
func Backends() []Backend {
	return []Backend{BackendNetworkPolicy, BackendCalico, BackendCilium, BackendClusterNetworkPolicy, BackendNftables, BackendSystemd}
}

// node checks the name of a node, which is that of an API object: labels separated by dots.
func (v *validator) node(field, given string) string {
	if given != "" && checkDNSName(given) != nil {
		v.fault(field, "%q is not the name of a node", given)
	}
	return given
}

// nameNodes fills in the nodes that the spec does not name. A member with an address of an API server
// runs on the same host, and kubeadm gives both the name of the node.
func (c *Cluster) nameNodes() {
	for i := range c.Etcd.Members {
		m := &c.Etcd.Members[i]
		if m.Node != "" {
			continue
		}
		m.Node = m.Name
		for _, h := range c.APIServers {
			if slices.ContainsFunc(h.Addresses, func(a Address) bool { return slices.Contains(m.Addresses, a) }) {
				m.Node = h.Name
				break
			}
		}
	}
}

func (v *validator) isolation(config IsolationConfig, runtime Runtime) Isolation {
	var i Isolation
	for n, b := range config.Backends {
		field := fmt.Sprintf("spec.isolation.backends[%d]", n)
		i.Backends = append(i.Backends, oneOf(v, field, b, "", Backends()))
		if slices.Contains(config.Backends[:n], b) {
			v.fault(field, "%q is given twice", b)
		}
	}
	if len(i.Backends) == 0 {
		// A NetworkPolicy never selects a Pod on the host network, so it is only for hosted etcd.
		i.Backends = []Backend{BackendNftables}
		if runtime == Hosted {
			i.Backends = []Backend{BackendNetworkPolicy}
		}
	}
	i.Scrapers = v.prefixes("spec.isolation.scrapers", config.Scrapers)
	i.Backups = v.prefixes("spec.isolation.backups", config.Backups)
	i.PodCIDRs = v.prefixes("spec.isolation.podCIDRs", config.PodCIDRs)
	i.NodeCIDRs = v.prefixes("spec.isolation.nodeCIDRs", config.NodeCIDRs)
	i.PodAddresses = oneOf(v, "spec.isolation.podAddresses", config.PodAddresses, Masqueraded, []PodAddresses{Masqueraded, Routed})
	i.MemberNodes = v.labels("spec.isolation.memberNodes", config.MemberNodes)
	if len(i.MemberNodes) == 0 {
		i.MemberNodes = []Label{{Key: "node-role.kubernetes.io/control-plane"}}
	}
	i.Pods = v.pods(config.Pods, runtime)
	return i
}

func (v *validator) pods(config PodsConfig, runtime Runtime) Pods {
	const at = "spec.isolation.pods"
	p := Pods{
		Etcd:      v.podSelector(at+".etcd", config.Etcd),
		APIServer: v.podSelector(at+".apiServer", config.APIServer),
		Scraper:   v.podSelector(at+".scraper", config.Scraper),
		Backup:    v.podSelector(at+".backup", config.Backup),
	}
	if runtime != Hosted {
		if !p.Etcd.IsZero() || !p.APIServer.IsZero() || !p.Scraper.IsZero() || !p.Backup.IsZero() {
			v.fault(at, "policies can select Pods only for hosted etcd; with this runtime, members and their clients are known by address")
		}
		return Pods{}
	}
	if p.Etcd.IsZero() {
		p.Etcd = PodSelector{Namespace: "kube-system", Labels: []Label{{"component", "etcd"}}}
	}
	return p
}

func (v *validator) podSelector(field string, config PodSelectorConfig) PodSelector {
	s := PodSelector{Namespace: config.Namespace, Labels: v.labels(field+".labels", config.Labels)}
	if s.IsZero() {
		return s
	}
	// Without labels every Pod of the namespace would be let in.
	if len(s.Labels) == 0 {
		v.fault(field+".labels", "is empty; which Pods of the namespace?")
	}
	if !dnsLabel.MatchString(s.Namespace) {
		v.fault(field+".namespace", "%q is not the name of a namespace", s.Namespace)
	}
	return s
}

var (
	labelKey   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
)

func (v *validator) labels(field string, given []string) []Label {
	var labels []Label
	for i, s := range given {
		here := fmt.Sprintf("%s[%d]", field, i)
		key, value, ok := strings.Cut(s, "=")
		switch {
		case !ok || !labelKey.MatchString(key) || !labelValue.MatchString(value):
			v.fault(here, "%q is not a label KEY=VALUE", s)
		case slices.ContainsFunc(labels, func(l Label) bool { return l.Key == key }):
			v.fault(here, "%q is given twice", key)
		default:
			labels = append(labels, Label{key, value})
		}
	}
	return labels
}

func (v *validator) prefixes(field string, given []string) []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(given))
	for i, s := range given {
		p, err := ParsePrefix(s)
		if err != nil {
			v.fault(fmt.Sprintf("%s[%d]", field, i), "%v", err)
			continue
		}
		if why := notOneSite(p); why != "" {
			v.fault(fmt.Sprintf("%s[%d]", field, i), "%s %s", p, why)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes
}

// notOneSite returns why a network cannot be that of one site's hosts or Pods, and an empty text if it
// can. The largest networks in use are 240.0.0.0/4, from which GKE takes networks of Pods, and fc00::/7,
// all of the unique local addresses (RFC 4193).
func notOneSite(p netip.Prefix) string {
	shortest := 4
	if p.Addr().Is6() {
		shortest = 7
	}
	switch {
	case p.Bits() == 0:
		return "is every address there is; give the networks that are meant"
	case p.Bits() < shortest:
		return "is a large part of the Internet; give the networks that are meant"
	case p.Addr().IsMulticast():
		return "is a multicast network, from which no packet comes"
	}
	return ""
}
