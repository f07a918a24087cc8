package reach

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// Topology tells where everything runs. Make one with NewTopology.
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
	// Kubernetes is set on a node of the cluster. etcd's hosts need not be nodes.
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

// NewTopology returns the members and API servers of an intent, and the nodes, Pods and namespaces
// of a dump of the cluster.
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

// host returns the node of a member or API server, found by its addresses or else by its name. If
// there is none it adds one.
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

// controlPlane is kubeadm's label for nodes of the control plane.
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

// namedPorts returns a container's TCP ports that have a name.
func namedPorts(c kube.Container) []NamedPort {
	var ports []NamedPort
	for _, p := range c.Ports {
		if p.Name != "" && (p.Protocol == "" || p.Protocol == "TCP") && p.ContainerPort > 0 && p.ContainerPort <= 65535 {
			ports = append(ports, NamedPort{p.Name, uint16(p.ContainerPort)})
		}
	}
	return ports
}

// nodeOf returns the node that has one of some addresses, or nil.
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

// namespaceLabels returns the labels of a namespace. Of a namespace that no file describes, only the
// name is known.
func (t *Topology) namespaceLabels(name string) map[string]string {
	if labels, ok := t.known[name]; ok {
		return labels
	}
	labels := map[string]string{metadataName: name}
	t.known[name] = labels
	return labels
}

// orDefault returns a namespace, or "default" if it is empty, as kubectl applies objects.
func orDefault(namespace string) string {
	if namespace == "" {
		return "default"
	}
	return namespace
}

// appendAddr appends an address as an object has it. Anything else, such as a host name, is left
// out.
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

// sameFamily returns the addresses of a host or Pod that are of the same family as another.
func sameFamily(addrs []netip.Addr, other netip.Addr) []netip.Addr {
	var same []netip.Addr
	for _, a := range addrs {
		if a.Is4() == other.Is4() {
			same = append(same, a)
		}
	}
	return same
}

func isWithin(a netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
