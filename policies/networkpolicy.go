package policies

import (
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func networkPolicyBackend() Backend {
	b := Backend{
		Name: cluster.BackendNetworkPolicy, Summary: "for hosted etcd only; a NetworkPolicy has no effect on the host network",
		hosted: true, form: objectsForm{},
		normal: func(o kube.Objects) (all []normalObject) {
			for _, p := range o.NetworkPolicies {
				all = append(all, newNormalObject(p.TypeMeta, p.Metadata, networkPolicyDefaults(p.Spec)))
			}
			return all
		},
	}
	b.render = func(i *Intent, _ RenderOptions) (Rendered, error) {
		documents, err := networkPolicy(i)
		if err != nil {
			return Rendered{}, err
		}
		return renderDocuments(i, b.Name, documents)
	}
	b.files = objectFiles(b.Name)
	return b
}

// networkPolicy renders for members that are Pods of the Pod network, and no others.
func networkPolicy(i *Intent) ([]document, error) {
	if i.Runtime != cluster.Hosted {
		return nil, Refusal{
			cluster.BackendNetworkPolicy,
			"its members are on the host network, and no NetworkPolicy selects what is there: it would be taken and do nothing (kubernetes/website#39875)",
			[]cluster.Backend{cluster.BackendCalico, cluster.BackendCilium, cluster.BackendNftables},
		}
	}
	self := []kube.Peer{{PodSelector: selector(i.Pods.Etcd)}}
	p := kube.NetworkPolicy{
		TypeMeta: kube.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		Metadata: i.managed(i.Cluster + "-etcd"),
		Spec: kube.NetworkPolicySpec{
			PodSelector: *selector(i.Pods.Etcd),
			PolicyTypes: []string{"Ingress", "Egress"},
		},
	}
	p.Metadata.Namespace = i.Pods.Etcd.Namespace
	d := document{why: `The members and nobody else, in and out: a Pod that a policy selects has only what one allows.
What comes from the member's own node, such as the kubelet's probes, is always let in. A host
reaches Pods of other nodes with the address of its tunnel interface, where the network has one:
give that too, of hosts that are named by address.`}

	ingress := func(why string, from []kube.Peer, ports ...uint16) {
		if len(from) == 0 {
			return // an empty list would be anybody
		}
		d.notes = append(d.notes, note{fieldOf("spec.ingress", len(p.Spec.Ingress)), why})
		p.Spec.Ingress = append(p.Spec.Ingress, kube.IngressRule{From: from, Ports: tcpPorts(ports...)})
	}
	ingress("Members, without whose peer port there is no quorum.", self, i.Ports.Client, i.Ports.Peer)
	ingress("API servers.", i.peers(i.Pods.APIServer, hosts(i.APIServerAddrs())), i.Ports.Client)
	ingress("Backups.", i.peers(i.Pods.Backup, i.Backups), i.Ports.Client)
	ingress("Scrapers of metrics.", i.peers(i.Pods.Scraper, i.Scrapers), i.Ports.Metrics)

	dns := []kube.PolicyPort{{Protocol: "UDP", Port: &kube.IntOrString{Int: 53}}, {Protocol: "TCP", Port: &kube.IntOrString{Int: 53}}}
	p.Spec.Egress = []kube.EgressRule{
		{To: self, Ports: tcpPorts(i.Ports.Client, i.Ports.Peer)},
		{To: []kube.Peer{{
			NamespaceSelector: &kube.LabelSelector{MatchLabels: map[string]string{namespaceName: "kube-system"}},
			PodSelector:       &kube.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
		}}, Ports: dns},
	}
	d.notes = append(d.notes,
		note{"spec.egress[0]", "Members."},
		note{"spec.egress[1]", "The cluster's DNS, which has the members' names. Nothing else: etcd calls nobody."})
	d.object = p
	return []document{d}, nil
}

// namespaceName is a label that every namespace has with its name.
const namespaceName = "kubernetes.io/metadata.name"

func selector(s cluster.PodSelector) *kube.LabelSelector {
	return &kube.LabelSelector{MatchLabels: matchLabels(s.Labels)}
}

// peers returns the peers for some Pods, if any are named, and for networks.
func (i *Intent) peers(pods cluster.PodSelector, networks []netip.Prefix) []kube.Peer {
	var peers []kube.Peer
	if !pods.IsZero() {
		peer := kube.Peer{PodSelector: selector(pods)}
		if pods.Namespace != i.Pods.Etcd.Namespace {
			peer.NamespaceSelector = &kube.LabelSelector{MatchLabels: map[string]string{namespaceName: pods.Namespace}}
		}
		peers = append(peers, peer)
	}
	for _, n := range networkTexts(networks) {
		peers = append(peers, kube.Peer{IPBlock: &kube.IPBlock{CIDR: n}})
	}
	return peers
}

func tcpPorts(ports ...uint16) []kube.PolicyPort {
	list := make([]kube.PolicyPort, 0, len(ports))
	for _, p := range ports {
		list = append(list, kube.PolicyPort{Protocol: "TCP", Port: &kube.IntOrString{Int: int32(p)}})
	}
	return list
}

// networkPolicyDefaults fills in the defaults of kubernetes/kubernetes
// pkg/apis/networking/v1/defaults.go.
func networkPolicyDefaults(s kube.NetworkPolicySpec) kube.NetworkPolicySpec {
	if len(s.PolicyTypes) == 0 {
		s.PolicyTypes = []string{"Ingress"}
		if len(s.Egress) > 0 {
			s.PolicyTypes = append(s.PolicyTypes, "Egress")
		}
	}
	ports := func(given []kube.PolicyPort) []kube.PolicyPort {
		filled := slices.Clone(given)
		for i := range filled {
			if filled[i].Protocol == "" {
				filled[i].Protocol = "TCP"
			}
		}
		return filled
	}
	s.Ingress, s.Egress = slices.Clone(s.Ingress), slices.Clone(s.Egress)
	for i := range s.Ingress {
		s.Ingress[i].Ports = ports(s.Ingress[i].Ports)
	}
	for i := range s.Egress {
		s.Egress[i].Ports = ports(s.Egress[i].Ports)
	}
	return s
}
