package reach

import (
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// source is one sender, or one that stands for all of its kind.
type source struct {
	class  Class
	name   string
	count  int
	roles  []policies.Role // of one that is not known by its address
	node   *Node
	pod    *Pod
	addrs  []netip.Addr
	member string // whose unit it is
	dumped bool   // a Pod or node of a dump, which is joined with others of the same outcome
}

// isWanted reports whether the intent lets the source reach a port. A Pod has no role from the
// address of its node.
func (e *evaluator) isWanted(s *source, from netip.Addr, port uint16) bool {
	if slices.ContainsFunc(s.roles, func(r policies.Role) bool { return e.intent.Reaches(r, port) }) {
		return true
	}
	return e.intent.Wanted(from, port)
}

// sources returns every sender to try: all that the spec names, and one of each kind that it does
// not name.
func (e *evaluator) sources() []*source {
	var list []*source
	if e.intent.Runtime == cluster.Hosted {
		list = e.hostedSources()
	} else {
		list = e.hostSources()
	}
	list = append(list, e.networkSources(ClassScraper, policies.Scraper, e.intent.Scrapers)...)
	list = append(list, e.networkSources(ClassBackup, policies.Backup, e.intent.Backups)...)
	list = append(list, e.strangers()...)
	list = append(list, e.dumpSources()...)
	slices.SortStableFunc(list, func(a, b *source) int { return slices.Index(classes(), a.class) - slices.Index(classes(), b.class) })
	return list
}

func classes() []Class {
	return []Class{ClassMember, ClassAPIServer, ClassScraper, ClassBackup, ClassNode, ClassPod, ClassOutside}
}

// hostSources returns the hosts of members and API servers.
func (e *evaluator) hostSources() []*source {
	var list []*source
	for _, m := range e.intent.Members {
		list = append(list, &source{class: ClassMember, name: memberName(m), count: 1, node: e.hostNode(m), addrs: m.Addrs, member: m.Name})
	}
	for _, s := range e.intent.APIServers {
		list = append(list, &source{class: ClassAPIServer, name: s.Name, count: 1, node: e.hostNode(s), addrs: s.Addrs})
	}
	return list
}

func memberName(m policies.Host) string {
	if m.Joining {
		return m.Name + " (joining)"
	}
	return m.Name
}

// hostNode returns the node of a host, found by its addresses or else by its name.
func (e *evaluator) hostNode(h policies.Host) *Node {
	if n := e.topology.nodeOf(h.Addrs); n != nil {
		return n
	}
	return e.nodeNamed(h.Node)
}

func (e *evaluator) nodeNamed(name string) *Node {
	if at := slices.IndexFunc(e.topology.Nodes, func(n *Node) bool { return n.Name == name }); at >= 0 {
		return e.topology.Nodes[at]
	}
	return nil
}

// networkSources returns one sender for each network of a role, if possible with an address that has
// no other role.
func (e *evaluator) networkSources(class Class, role policies.Role, networks []netip.Prefix) []*source {
	var list []*source
	for _, p := range networks {
		a := addressIn(p, func(a netip.Addr) bool { return slices.Equal(e.intent.Roles(a), []policies.Role{role}) })
		if !a.IsValid() {
			a = p.Addr() // it has other roles too, and reaches more
		}
		name := a.String()
		if !p.IsSingleIP() {
			name += " of " + p.String()
		}
		s := &source{class: class, name: name, count: 1, addrs: []netip.Addr{a}}
		s.node, s.pod = e.ownerOf(a)
		if s.pod != nil && s.node == nil {
			s.node = e.worker()
			s.pod.Node = s.node
		}
		list = append(list, s)
	}
	return list
}

// ownerOf returns what has an address: a node, or a Pod and its node. For an unused address of the
// Pods' networks it is a Pod that stands for one to come.
func (e *evaluator) ownerOf(a netip.Addr) (*Node, *Pod) {
	if n := e.topology.nodeOf([]netip.Addr{a}); n != nil {
		return n, nil
	}
	for _, p := range e.topology.Pods {
		if !p.HostNetwork && slices.Contains(p.Addrs, a) {
			return p.Node, p
		}
	}
	if isWithin(a, e.intent.PodCIDRs) {
		return nil, &Pod{Namespace: "default", Name: "any", Addrs: []netip.Addr{a}, PortsUnknown: true}
	}
	if isWithin(a, e.intent.NodeCIDRs) {
		return &Node{Name: a.String(), Addrs: []netip.Addr{a}, Kubernetes: true}, nil
	}
	return nil, nil
}

// addressIn returns the first usable address of a network, after the network's own. In a large
// network it gives up early.
func addressIn(p netip.Prefix, will func(netip.Addr) bool) netip.Addr {
	const tries = 4096
	a := p.Addr()
	if !p.IsSingleIP() {
		a = a.Next()
	}
	for range tries {
		if !p.Contains(a) {
			break
		}
		if will(a) {
			return a
		}
		a = a.Next()
	}
	return netip.Addr{}
}

// strangers returns the senders without a role: a node, Pods, and somebody outside.
func (e *evaluator) strangers() []*source {
	var list []*source
	worker := e.worker()
	if len(e.topology.Nodes) == 0 || !e.isInDump(worker) {
		list = append(list, &source{class: ClassNode, name: "another node", count: 1, node: worker, addrs: worker.Addrs})
	}
	list = append(list, e.strangerPods(worker)...)
	for _, of := range e.families() {
		if a := e.stranger(of.outside); a.IsValid() {
			list = append(list, &source{class: ClassOutside, name: "outside (" + of.name + ")", count: 1, addrs: []netip.Addr{a}})
		}
	}
	return list
}

func (e *evaluator) isInDump(n *Node) bool { return slices.Contains(e.topology.Nodes, n) }

// strangerPods returns Pods without a role, on each kind of node that makes a difference.
func (e *evaluator) strangerPods(worker *Node) []*source {
	var list []*source
	add := func(name, namespace string, labels map[string]string, n *Node) {
		if n == nil || !n.Kubernetes {
			return // a host that is no node has no Pods
		}
		pod := &Pod{Namespace: namespace, Name: "any", Labels: labels, Node: n, PortsUnknown: true}
		for _, of := range e.families() {
			if a := e.podAddress(of.v4, n); a.IsValid() {
				pod.Addrs = append(pod.Addrs, a)
			}
		}
		list = append(list, &source{class: ClassPod, name: name, count: 1, node: n, pod: pod, addrs: pod.Addrs})
	}
	for _, n := range e.topology.Nodes {
		if e.isMembers(n) || n.APIServer {
			add("a Pod on "+n.Name, "default", nil, n)
		}
	}
	add("a Pod on another node", "default", nil, worker)
	add("a Pod of kube-system on another node", "kube-system", nil, worker)
	if e.intent.Runtime == cluster.Hosted {
		of := e.intent.Pods.Etcd
		add("another Pod of "+of.Namespace, of.Namespace, nil, worker)
		add("a Pod with the members' labels in another namespace", "default", labelMap(of.Labels), worker)
	}
	return list
}

func (e *evaluator) isMembers(n *Node) bool {
	return slices.ContainsFunc(e.targets, func(t target) bool { return t.node == n })
}

func labelMap(labels []cluster.Label) map[string]string {
	m := map[string]string{}
	for _, l := range labels {
		m[l.Key] = l.Value
	}
	return m
}

// worker returns a node that hosts neither a member nor an API server: one of the dump, one in the
// spec's node networks, or an imagined one.
func (e *evaluator) worker() *Node {
	if e.aWorker != nil {
		return e.aWorker
	}
	for _, n := range e.topology.Nodes {
		if n.Kubernetes && len(n.Addrs) > 0 && !e.isMembers(n) && !n.APIServer && !slices.ContainsFunc(n.Addrs, func(a netip.Addr) bool { return len(e.intent.Roles(a)) > 0 }) {
			e.aWorker = n
			return n
		}
	}
	e.aWorker = &Node{Name: "another node", Labels: map[string]string{}, Kubernetes: true}
	for _, of := range e.families() {
		var a netip.Addr
		for _, p := range e.intent.NodeCIDRs {
			if p.Addr().Is4() != of.v4 || a.IsValid() {
				continue
			}
			a = addressIn(p, func(a netip.Addr) bool {
				return len(e.intent.Roles(a)) == 0 && !isWithin(a, e.intent.PodCIDRs) && e.topology.nodeOf([]netip.Addr{a}) == nil
			})
		}
		if !a.IsValid() {
			a = e.stranger(of.worker)
		}
		if a.IsValid() {
			e.aWorker.Addrs = append(e.aWorker.Addrs, a)
		}
	}
	return e.aWorker
}

// podAddress returns an address that a Pod of a node may have.
func (e *evaluator) podAddress(v4 bool, n *Node) netip.Addr {
	for _, p := range e.intent.PodCIDRs {
		if p.Addr().Is4() != v4 {
			continue
		}
		if a := addressIn(p, func(a netip.Addr) bool {
			return len(e.intent.Roles(a)) == 0 && e.topology.nodeOf([]netip.Addr{a}) == nil
		}); a.IsValid() {
			return a
		}
	}
	if len(sameFamily(n.Addrs, anyAddress(v4))) == 0 && len(n.Addrs) > 0 {
		return netip.Addr{}
	}
	for _, of := range e.families() {
		if of.v4 == v4 {
			return e.stranger(of.pod)
		}
	}
	return netip.Addr{}
}

func anyAddress(v4 bool) netip.Addr {
	if v4 {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// addressFamily has networks that RFC 5737 and RFC 3849 reserve for documentation: nobody has an
// address in them.
type addressFamily struct {
	name                 string
	v4                   bool
	outside, worker, pod netip.Prefix
}

// families returns the address families of the members.
func (e *evaluator) families() []addressFamily {
	all := []addressFamily{
		{"IPv4", true, netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("192.0.2.0/24")},
		{"IPv6", false, netip.MustParsePrefix("2001:db8:ffff::/64"), netip.MustParsePrefix("2001:db8:fffe::/64"), netip.MustParsePrefix("2001:db8:fffd::/64")},
	}
	return slices.DeleteFunc(all, func(f addressFamily) bool {
		return !slices.ContainsFunc(e.targets, func(t target) bool { return len(sameFamily(t.addrs, anyAddress(f.v4))) > 0 })
	})
}

// stranger returns an address of a network that nothing else has or names.
func (e *evaluator) stranger(p netip.Prefix) netip.Addr {
	return addressIn(p, func(a netip.Addr) bool {
		return len(e.intent.Roles(a)) == 0 && !isWithin(a, e.intent.PodCIDRs) && !isWithin(a, e.intent.NodeCIDRs) && e.topology.nodeOf([]netip.Addr{a}) == nil
	})
}
