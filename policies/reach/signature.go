package reach

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// signatures groups senders that no policy can tell apart. It looks only at the labels and values
// that some selector uses, and at which networks of the policies hold an address. Thousands of Pods
// become a few groups.
type signatures struct {
	e          *evaluator
	labels     map[string]*mentioned
	boundaries []netip.Addr    // sorted; two addresses between the same two are alike to every policy
	nodes      map[string]bool // by name, that have policies of their own
	namespaces map[string]bool // by name, that have policies of their own
	nameKeys   []string        // the labels by which policies name a namespace
}

type mentioned struct {
	values map[string]bool
	open   bool // compared in other ways than with whole values
}

func newSignatures(e *evaluator) *signatures {
	s := &signatures{e: e, labels: map[string]*mentioned{}, nodes: map[string]bool{}, namespaces: map[string]bool{}}
	for _, engine := range e.engines {
		if engine.distinguish != nil {
			engine.distinguish(s)
		}
	}
	s.addIntent()
	slices.SortFunc(s.boundaries, netip.Addr.Compare)
	s.boundaries = slices.Compact(s.boundaries)
	return s
}

func (s *signatures) addIntent() {
	i := s.e.intent
	s.addBoundaries(i.Scrapers...)
	s.addBoundaries(i.Backups...)
	for _, h := range [][]policies.Host{i.Members, i.APIServers} {
		for _, host := range h {
			for _, a := range host.Addrs {
				s.addBoundaries(netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	for _, pods := range []cluster.PodSelector{i.Pods.Etcd, i.Pods.APIServer, i.Pods.Scraper, i.Pods.Backup} {
		if pods.IsZero() {
			continue
		}
		s.mentionLabel(metadataName, []string{pods.Namespace}, false)
		for _, l := range pods.Labels {
			s.mentionLabel(l.Key, []string{l.Value}, false)
		}
	}
}

func (s *signatures) mention(of selector) {
	for _, r := range of {
		key := strings.TrimPrefix(r.key, ciliumNamespaceLabels)
		s.mentionLabel(key, r.values, false)
	}
}

func (s *signatures) mentionLabel(key string, values []string, open bool) {
	m := s.labels[key]
	if m == nil {
		m = &mentioned{values: map[string]bool{}}
		s.labels[key] = m
	}
	for _, v := range values {
		m.values[v] = true
	}
	m.open = m.open || open
}

func (s *signatures) addBoundaries(prefixes ...netip.Prefix) {
	for _, p := range prefixes {
		s.boundaries = append(s.boundaries, p.Masked().Addr())
		// Behind the last address of the network something else begins.
		last := lastOf(p)
		if next := last.Next(); next.IsValid() {
			s.boundaries = append(s.boundaries, next)
		}
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(bytes) // of the length that an address has
	return a
}

func (s *signatures) addresses(b *strings.Builder, addrs []netip.Addr) {
	for _, a := range addrs {
		at, found := slices.BinarySearchFunc(s.boundaries, a, netip.Addr.Compare)
		if !found {
			at--
		}
		b.WriteByte('@')
		b.WriteString(strconv.Itoa(at))
		if a.Is6() {
			b.WriteByte('v')
		}
	}
}

// writeLabels writes those of some labels that any policy uses.
func (s *signatures) writeLabels(b *strings.Builder, labels map[string]string) {
	var keys []string
	for k := range labels {
		if s.labels[k] != nil {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		b.WriteByte('|')
		b.WriteString(k)
		if m, v := s.labels[k], labels[k]; m.open || m.values[v] {
			b.WriteByte('=')
			b.WriteString(v)
		}
	}
}

// node returns the signature of a node as a sender, and as the host of Pods.
func (s *signatures) node(n *Node) string {
	if n == nil {
		return "none"
	}
	if s.e.isMembers(n) || n.APIServer || s.nodes[n.Name] {
		return "node " + n.Name
	}
	var b strings.Builder
	s.writeLabels(&b, n.Labels)
	s.addresses(&b, n.Addrs)
	return b.String()
}

// pod returns the signature of a Pod as a sender, given that of its node.
func (s *signatures) pod(p *Pod, node string) string {
	var b strings.Builder
	b.WriteString(node)
	if s.namespaces[p.Namespace] || s.namesNamespace(p.Namespace) {
		b.WriteString(" in " + p.Namespace)
	}
	b.WriteByte('#')
	s.writeLabels(&b, p.Labels)
	b.WriteByte('#')
	s.writeLabels(&b, s.e.topology.namespaceLabels(p.Namespace))
	s.addresses(&b, p.Addrs)
	return b.String()
}

// namesNamespace reports whether any policy selects a namespace by its name, not by its labels.
func (s *signatures) namesNamespace(namespace string) bool {
	for _, key := range s.nameKeys {
		if m := s.labels[key]; m != nil && (m.open || m.values[namespace]) {
			return true
		}
	}
	return false
}

// dumpSources returns the nodes and Pods of a dump, one for each signature.
func (e *evaluator) dumpSources() []*source {
	var list []*source
	if len(e.topology.Pods) == 0 && len(e.topology.Nodes) == 0 {
		return nil
	}
	s := newSignatures(e)
	seen := map[string]*source{}
	join := func(key string, first func() *source) {
		if there := seen[key]; there != nil {
			there.count++
			return
		}
		n := first()
		seen[key] = n
		list = append(list, n)
	}
	nodes := map[*Node]string{}
	for _, n := range e.topology.Nodes {
		nodes[n] = s.node(n)
		if !n.Kubernetes || n.APIServer || e.isMembers(n) && e.intent.Runtime != cluster.Hosted {
			continue // a source already, or nothing that sends
		}
		join("node "+nodes[n], func() *source {
			return &source{class: ClassNode, name: n.Name, count: 1, node: n, addrs: n.Addrs, dumped: true}
		})
	}
	for _, p := range e.topology.Pods {
		if p.HostNetwork || len(p.Addrs) == 0 || p.Node == nil || e.isTarget(p) {
			continue // its host is a source
		}
		join("pod "+s.pod(p, nodes[p.Node]), func() *source {
			return &source{class: e.podClass(p), name: p.String(), count: 1, roles: e.podRoles(p), node: p.Node, pod: p, addrs: p.Addrs, dumped: true}
		})
	}
	return list
}

func (e *evaluator) isTarget(p *Pod) bool {
	return slices.ContainsFunc(e.targets, func(t target) bool { return t.pod == p })
}

// podRoles returns the roles that the spec gives a Pod by its labels.
func (e *evaluator) podRoles(p *Pod) []policies.Role {
	var roles []policies.Role
	for _, of := range []struct {
		role policies.Role
		pods cluster.PodSelector
	}{{policies.APIServer, e.intent.Pods.APIServer}, {policies.Scraper, e.intent.Pods.Scraper}, {policies.Backup, e.intent.Pods.Backup}} {
		if selectedBy(of.pods, p) {
			roles = append(roles, of.role)
		}
	}
	return roles
}

func (e *evaluator) podClass(p *Pod) Class {
	roles := e.podRoles(p)
	if len(roles) == 0 && len(p.Addrs) > 0 {
		roles = e.intent.Roles(p.Addrs[0])
	}
	switch {
	case slices.Contains(roles, policies.APIServer):
		return ClassAPIServer
	case slices.Contains(roles, policies.Scraper):
		return ClassScraper
	case slices.Contains(roles, policies.Backup):
		return ClassBackup
	}
	return ClassPod
}
