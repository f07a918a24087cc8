package reach

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/etcdsec/etcdsec/policies/kube"
)

// pick is one of a list.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func randomSelector(r *rand.Rand, keys []string) kube.LabelSelector {
	var s kube.LabelSelector
	for chance(r, 45) && len(s.MatchLabels) < 2 {
		if s.MatchLabels == nil {
			s.MatchLabels = map[string]string{}
		}
		s.MatchLabels[pick(r, keys...)] = pick(r, "a", "b", "")
	}
	for chance(r, 30) && len(s.MatchExpressions) < 2 {
		q := kube.SelectorRequirement{Key: pick(r, keys...), Operator: pick(r, "In", "NotIn", "Exists", "DoesNotExist")}
		if q.Operator == "In" || q.Operator == "NotIn" {
			q.Values = []string{pick(r, "a", "b", "")}
			if chance(r, 40) {
				q.Values = append(q.Values, "c")
			}
		}
		s.MatchExpressions = append(s.MatchExpressions, q)
	}
	return s
}

func randomPeers(r *rand.Rand) []kube.Peer {
	var peers []kube.Peer
	for range r.IntN(4) {
		var p kube.Peer
		if chance(r, 35) {
			p.IPBlock = &kube.IPBlock{CIDR: pick(r, "10.244.0.0/16", "10.244.1.0/24", "10.0.0.0/8", "0.0.0.0/0", "10.244.1.2/32", "203.0.113.0/24", "::/0", "fd00::/64")}
			if chance(r, 40) {
				p.IPBlock.Except = []string{pick(r, "10.244.1.0/25", "10.244.1.64/26", "10.244.2.96/27", "203.0.113.9/32", "fd00::1/128")}
			}
			peers = append(peers, p)
			continue
		}
		if chance(r, 70) {
			s := randomSelector(r, []string{"x", "y"})
			p.PodSelector = &s
		}
		if p.PodSelector == nil || chance(r, 40) {
			s := randomSelector(r, []string{"n", "m"})
			p.NamespaceSelector = &s
		}
		peers = append(peers, p)
	}
	return peers
}

func randomPorts(r *rand.Rand) []kube.PolicyPort {
	var ports []kube.PolicyPort
	for range r.IntN(3) {
		p := kube.PolicyPort{Protocol: pick(r, "", "TCP", "TCP", "UDP")}
		switch r.IntN(4) {
		case 0:
		case 1:
			p.Port = &kube.IntOrString{String: pick(r, "client", "peer", "none")}
		case 2:
			p.Port = &kube.IntOrString{Int: pick[int32](r, 2379, 2380, 2381)}
		default:
			last := pick[int32](r, 2379, 2380, 2390)
			p.Port, p.EndPort = &kube.IntOrString{Int: pick[int32](r, 2000, 2379)}, &last
		}
		ports = append(ports, p)
	}
	return ports
}

func randomPolicy(r *rand.Rand, n int) kube.NetworkPolicy {
	p := kube.NetworkPolicy{
		TypeMeta: kube.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		Metadata: kube.ObjectMeta{Name: fmt.Sprint("p", n), Namespace: pick(r, "one", "two", "default", "")},
	}
	p.Spec.PodSelector = randomSelector(r, []string{"x", "y"})
	p.Spec.PolicyTypes = pick(r, nil, nil, []string{"Ingress"}, []string{"Egress"}, []string{"Ingress", "Egress"})
	for range r.IntN(3) {
		p.Spec.Ingress = append(p.Spec.Ingress, kube.IngressRule{From: randomPeers(r), Ports: randomPorts(r)})
	}
	for range r.IntN(3) {
		p.Spec.Egress = append(p.Spec.Egress, kube.EgressRule{To: randomPeers(r), Ports: randomPorts(r)})
	}
	return p
}

func randomPodsOf(r *rand.Rand) (*kube.LabelSelector, *kube.NamespacedPod) {
	namespaces := randomSelector(r, []string{"n", "m"})
	if chance(r, 50) {
		return &namespaces, nil
	}
	return nil, &kube.NamespacedPod{NamespaceSelector: namespaces, PodSelector: randomSelector(r, []string{"x", "y"})}
}

func randomProtocols(r *rand.Rand) []kube.ClusterPolicyProtocol {
	var list []kube.ClusterPolicyProtocol
	for range r.IntN(3) {
		var p kube.ClusterPolicyProtocol
		switch r.IntN(5) {
		case 0:
			p.DestinationNamedPort = pick(r, "client", "peer")
		case 1:
			p.UDP = &kube.ClusterPolicyTransport{DestinationPort: &kube.ClusterPolicyPort{Number: 2379}}
		case 2:
			p.TCP = &kube.ClusterPolicyTransport{}
		case 3:
			p.TCP = &kube.ClusterPolicyTransport{DestinationPort: &kube.ClusterPolicyPort{Number: pick[int32](r, 2379, 2380)}}
		default:
			p.TCP = &kube.ClusterPolicyTransport{DestinationPort: &kube.ClusterPolicyPort{Range: &kube.PortRange{Start: pick[int32](r, 2000, 2380), End: pick[int32](r, 2380, 2400)}}}
		}
		list = append(list, p)
	}
	return list
}

// randomClusterPolicy has a priority of its own: which of two equal ones wins is left open, and
// so is unknown to us. The engine is asked about no peer of a field that it does not know, of
// which the API says that a Deny fails closed, and which the engine takes for no peer.
func randomClusterPolicy(r *rand.Rand, n int) kube.ClusterNetworkPolicy {
	p := kube.ClusterNetworkPolicy{
		TypeMeta: kube.TypeMeta{APIVersion: "policy.networking.k8s.io/v1alpha2", Kind: "ClusterNetworkPolicy"},
		Metadata: kube.ObjectMeta{Name: fmt.Sprint("c", n)},
	}
	p.Spec.Tier, p.Spec.Priority = pick(r, "Admin", "Admin", "Baseline"), int32(n*7%10)
	p.Spec.Subject.Namespaces, p.Spec.Subject.Pods = randomPodsOf(r)
	for range r.IntN(4) {
		rule := kube.ClusterIngressRule{Action: pick(r, "Accept", "Deny", "Pass"), Protocols: randomProtocols(r)}
		for range 1 + r.IntN(2) {
			namespaces, pods := randomPodsOf(r)
			rule.From = append(rule.From, kube.ClusterIngressPeer{Namespaces: namespaces, Pods: pods})
		}
		p.Spec.Ingress = append(p.Spec.Ingress, rule)
	}
	for range r.IntN(4) {
		rule := kube.ClusterEgressRule{Action: pick(r, "Accept", "Deny", "Pass"), Protocols: randomProtocols(r)}
		for range 1 + r.IntN(2) {
			var peer kube.ClusterEgressPeer
			switch r.IntN(4) {
			case 0:
				peer.Networks = []string{pick(r, "10.244.1.0/24", "10.0.0.7/32", "0.0.0.0/0", "203.0.113.0/28", "fd00::/64")}
			case 1:
				nodes := randomSelector(r, []string{"zone"})
				peer.Nodes = &nodes
			default:
				peer.Namespaces, peer.Pods = randomPodsOf(r)
			}
			rule.To = append(rule.To, peer)
		}
		p.Spec.Egress = append(p.Spec.Egress, rule)
	}
	return p
}

// stored is a policy as the API server stores it (pkg/apis/networking/v1/defaults.go in
// kubernetes/kubernetes, and kubectl for the namespace). The engine is only ever given such
// ones: it takes a policy without policyTypes for none, and one whose list of rules is empty,
// but there, for one that lets everybody in; TestErrorsOfTheEngine holds it to both.
func stored(t *testing.T, p kube.NetworkPolicy) json.RawMessage {
	t.Helper()
	p.Spec.Ingress, p.Spec.Egress = slices.Clone(p.Spec.Ingress), slices.Clone(p.Spec.Egress)
	if p.Metadata.Namespace == "" {
		p.Metadata.Namespace = "default"
	}
	if len(p.Spec.PolicyTypes) == 0 {
		p.Spec.PolicyTypes = []string{"Ingress"}
		if len(p.Spec.Egress) > 0 {
			p.Spec.PolicyTypes = []string{"Ingress", "Egress"}
		}
	}
	protocols := func(ports []kube.PolicyPort) []kube.PolicyPort {
		ports = slices.Clone(ports)
		for n := range ports {
			if ports[n].Protocol == "" {
				ports[n].Protocol = "TCP"
			}
		}
		return ports
	}
	for n := range p.Spec.Ingress {
		p.Spec.Ingress[n].Ports = protocols(p.Spec.Ingress[n].Ports)
	}
	for n := range p.Spec.Egress {
		p.Spec.Egress[n].Ports = protocols(p.Spec.Egress[n].Ports)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// randomCase is a small cluster with policies, in our types and in the engine's.
func randomCase(t *testing.T, r *rand.Rand) (engineQuestion, kube.Objects, Topology) {
	t.Helper()
	q := engineQuestion{Policies: []json.RawMessage{}, Namespaces: map[string]map[string]string{}}
	var o kube.Objects
	var top Topology
	node := &Node{Name: "node", Kubernetes: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.7")}, Labels: map[string]string{"zone": pick(r, "a", "b")}}
	q.Nodes = []kube.Node{{Metadata: kube.ObjectMeta{Name: "node", Labels: node.Labels}, Status: kube.NodeStatus{Addresses: []kube.NodeAddress{{Type: "InternalIP", Address: "10.0.0.7"}}}}}
	for _, name := range []string{"one", "two", "default"} {
		labels := map[string]string{metadataName: name}
		for _, key := range []string{"n", "m"} {
			if chance(r, 60) {
				labels[key] = pick(r, "a", "b", "c", "")
			}
		}
		q.Namespaces[name] = labels
		top.Namespaces = append(top.Namespaces, Namespace{name, labels})
	}
	for n := range 2 + r.IntN(6) {
		p := enginePod{Namespace: pick(r, "one", "two", "default"), Name: fmt.Sprint("pod", n), Labels: map[string]string{}, Ports: map[string]uint16{}}
		for _, key := range []string{"x", "y"} {
			if chance(r, 70) {
				p.Labels[key] = pick(r, "a", "b", "c", "")
			}
		}
		if chance(r, 50) {
			p.Ports["client"] = 2379
		}
		if chance(r, 30) {
			p.Ports["peer"] = pick[uint16](r, 2380, 2379)
		}
		p.IP = fmt.Sprintf("10.244.%d.%d", 1+r.IntN(2), 1+r.IntN(200))
		switch {
		case chance(r, 15):
			p.HostNetwork, p.IP = true, "10.0.0.7"
		case chance(r, 20):
			p.IP = fmt.Sprintf("fd00::%d", 1+r.IntN(9))
		}
		q.Pods = append(q.Pods, p)
		pod := &Pod{Namespace: p.Namespace, Name: p.Name, Labels: p.Labels, Node: node, HostNetwork: p.HostNetwork, Addrs: []netip.Addr{netip.MustParseAddr(p.IP)}}
		for _, name := range []string{"client", "peer"} {
			if number, ok := p.Ports[name]; ok {
				pod.Ports = append(pod.Ports, NamedPort{name, number})
			}
		}
		top.Pods = append(top.Pods, pod)
	}
	for n := range r.IntN(6) {
		p := randomPolicy(r, n)
		o.NetworkPolicies = append(o.NetworkPolicies, p)
		q.Policies = append(q.Policies, stored(t, p))
	}
	for n := range r.IntN(5) {
		q.Cluster = append(q.Cluster, randomClusterPolicy(r, n))
	}
	o.ClusterNetworkPolicies = q.Cluster
	outside := netip.MustParseAddr(pick(r, "203.0.113.9", "203.0.113.10", "fd00:1::9"))
	for from := -1; from < len(q.Pods); from++ {
		for to := -1; to < len(q.Pods); to++ {
			f := engineFlow{From: from, To: to, FromIP: outside, ToIP: outside, Port: pick[uint16](r, 2379, 2380, 2381)}
			if from >= 0 {
				f.FromIP = top.Pods[from].Addrs[0]
			}
			if to >= 0 {
				f.ToIP = top.Pods[to].Addrs[0]
			}
			if from != to && f.FromIP.Is4() == f.ToIP.Is4() {
				q.Flows = append(q.Flows, f)
			}
		}
	}
	return q, o, top
}
