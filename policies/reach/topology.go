package reach

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// Topology is where everything runs. Make one with NewTopology.
type Topology struct {
	Nodes      []*Node
	Pods       []*Pod
	Namespaces []Namespace

	known map[string]map[string]string // labels of a namespace
}

// Node is a host.
type Node struct {
	Name   string
	Labels map[string]string
	Addrs  []netip.Addr
	// Kubernetes says that it is a node of the cluster; etcd's hosts need not be.
	Kubernetes bool
	APIServer  bool
}

// Pod has an address of its own, unless it is on the host network.
type Pod struct {
	Namespace, Name string
	Labels          map[string]string
	Node            *Node
	Addrs           []netip.Addr
	HostNetwork     bool
	Ports           []NamedPort
	// PortsUnknown is set on a Pod that stands for those to come.
	PortsUnknown bool
}

// NamedPort is a TCP port of a Pod.
type NamedPort struct {
	Name   string
	Number uint16
}

// Namespace has labels.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// NewTopology is the members and API servers of an intent, and whatever nodes, Pods and
// namespaces a dump of the cluster has.
func NewTopology(i *policies.Intent, dump kube.Objects) Topology {
	t := Topology{}
	for _, n := range dump.Nodes {
		node := &Node{Name: n.Metadata.Name, Labels: n.Metadata.Labels, Kubernetes: true}
		for _, a := range n.Status.Addresses {
			node.Addrs = appendAddr(node.Addrs, a.Address)
		}
		t.Nodes = append(t.Nodes, node)
	}
	dumped := len(t.Nodes) > 0
	byName := map[string]*Node{}
	for _, n := range t.Nodes {
		byName[n.Name] = n
	}
	for _, s := range i.APIServers {
		if len(s.Addrs) > 0 {
			// Without a dump, API servers are taken to be control-plane nodes as kubeadm labels them.
			t.host(byName, s, []cluster.Label{{Key: controlPlane}}, !dumped).APIServer = true
		}
	}
	// Hosted members are Pods, and where these run is not in the spec.
	if i.Runtime != cluster.Hosted {
		for _, m := range i.Members {
			n := t.host(byName, m, i.MemberNodes, !dumped && i.Runtime != cluster.Systemd)
			if dumped || !n.Kubernetes {
				continue
			}
			for _, l := range i.MemberNodes {
				n.Labels[l.Key] = l.Value
			}
		}
	}
	t.takePods(dump, byName)
	for _, n := range dump.Namespaces {
		t.Namespaces = append(t.Namespaces, Namespace{n.Metadata.Name, n.Metadata.Labels})
	}
	t.indexNamespaces()
	return t
}

// host is the node that a member or an API server is, by its addresses before its name; a new
// one, where there is none.
func (t *Topology) host(byName map[string]*Node, h policies.Host, labels []cluster.Label, kubernetes bool) *Node {
	n := t.nodeOf(h.Addrs)
	if n == nil {
		n = byName[h.Node]
	}
	if n == nil {
		n = &Node{Name: h.Node, Labels: map[string]string{}, Kubernetes: kubernetes}
		for _, l := range labels {
			n.Labels[l.Key] = l.Value
		}
		byName[h.Node] = n
		t.Nodes = append(t.Nodes, n)
	}
	for _, a := range h.Addrs {
		n.Addrs = appendNew(n.Addrs, a)
	}
	return n
}

// controlPlane is what kubeadm labels the nodes of the control plane with.
const controlPlane = "node-role.kubernetes.io/control-plane"

func (t *Topology) takePods(dump kube.Objects, byName map[string]*Node) {
	for _, p := range dump.Pods {
		if p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" {
			continue // it has no address any more
		}
		pod := &Pod{
			Namespace: orDefault(p.Metadata.Namespace), Name: p.Metadata.Name, Labels: p.Metadata.Labels,
			HostNetwork: p.Spec.HostNetwork, Node: byName[p.Spec.NodeName],
		}
		if pod.Node == nil && p.Spec.NodeName != "" {
			pod.Node = &Node{Name: p.Spec.NodeName, Kubernetes: true}
			byName[p.Spec.NodeName] = pod.Node
			t.Nodes = append(t.Nodes, pod.Node)
		}
		for _, a := range append([]kube.PodIP{{IP: p.Status.PodIP}}, p.Status.PodIPs...) {
			pod.Addrs = appendAddr(pod.Addrs, a.IP)
		}
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			pod.Ports = append(pod.Ports, namedPorts(c)...)
		}
		t.Pods = append(t.Pods, pod)
	}
}

// namedPorts are a container's TCP ports that have a name.
func namedPorts(c kube.Container) []NamedPort {
	var ports []NamedPort
	for _, p := range c.Ports {
		if p.Name != "" && (p.Protocol == "" || p.Protocol == "TCP") && p.ContainerPort > 0 && p.ContainerPort <= 65535 {
			ports = append(ports, NamedPort{p.Name, uint16(p.ContainerPort)})
		}
	}
	return ports
}

// nodeOf is the node that has one of some addresses, or nil.
func (t *Topology) nodeOf(addrs []netip.Addr) *Node {
	for _, n := range t.Nodes {
		for _, a := range addrs {
			if slices.Contains(n.Addrs, a) {
				return n
			}
		}
	}
	return nil
}

func (t *Topology) indexNamespaces() {
	t.known = map[string]map[string]string{}
	for _, n := range t.Namespaces {
		labels := map[string]string{metadataName: n.Name}
		maps.Copy(labels, n.Labels)
		t.known[n.Name] = labels
	}
}

// metadataName is the label that the API server gives every namespace.
const metadataName = "kubernetes.io/metadata.name"

// namespaceLabels are those of a namespace; of one that nobody described it is known by its name alone.
func (t *Topology) namespaceLabels(name string) map[string]string {
	if labels, ok := t.known[name]; ok {
		return labels
	}
	labels := map[string]string{metadataName: name}
	t.known[name] = labels
	return labels
}

// orDefault is the namespace of an object that names none, as kubectl applies it.
func orDefault(namespace string) string {
	if namespace == "" {
		return "default"
	}
	return namespace
}

// appendAddr takes an address as an object has it; what is none, such as a host's name, is left out.
func appendAddr(addrs []netip.Addr, text string) []netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return addrs
	}
	return appendNew(addrs, a.Unmap())
}

func appendNew(addrs []netip.Addr, a netip.Addr) []netip.Addr {
	if slices.Contains(addrs, a) {
		return addrs
	}
	return append(addrs, a)
}

// String names a Pod as kubectl does.
func (p *Pod) String() string { return p.Namespace + "/" + p.Name }

// family are the addresses of a host or Pod that can speak to another.
func family(addrs []netip.Addr, other netip.Addr) []netip.Addr {
	var same []netip.Addr
	for _, a := range addrs {
		if a.Is4() == other.Is4() {
			same = append(same, a)
		}
	}
	return same
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
