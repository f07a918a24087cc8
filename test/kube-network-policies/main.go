// Command kube-network-policies returns the decisions of the engine of
// sigs.k8s.io/kube-network-policies about NetworkPolicies and ClusterNetworkPolicies. It reads one
// question from each line of standard input, and writes one answer to each line of standard output.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/network"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	clusternetworkpolicy "sigs.k8s.io/kube-network-policies/plugins/npa-v1alpha2"
	npav1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	cnplisters "sigs.k8s.io/network-policy-api/pkg/client/listers/apis/v1alpha2"
)

// question has policies, in the form that the API server stores, and flows to judge with them.
type question struct {
	Policies   []*networkingv1.NetworkPolicy       `json:"policies"`
	Cluster    []*npav1alpha2.ClusterNetworkPolicy `json:"cluster"`
	Nodes      []*v1.Node                          `json:"nodes"`
	Namespaces map[string]map[string]string        `json:"namespaces"`
	Pods       []pod                               `json:"pods"`
	Flows      []flow                              `json:"flows"`
}

type pod struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	IP          string            `json:"ip"`
	HostNetwork bool              `json:"host_network"`
	Ports       map[string]int32  `json:"ports"` // TCP, by name
}

// flow is between two Pods, by their index. A negative index means an address instead.
type flow struct {
	From   int    `json:"from"`
	FromIP string `json:"from_ip"`
	To     int    `json:"to"`
	ToIP   string `json:"to_ip"`
	Port   int    `json:"port"`
}

// answer reports for each flow whether NetworkPolicies let it leave its Pod and enter the other one,
// and the decision of each tier of ClusterNetworkPolicies, for egress and ingress.
type answer struct {
	Egress   []bool      `json:"egress"`
	Ingress  []bool      `json:"ingress"`
	Admin    [][2]string `json:"admin"`
	Baseline [][2]string `json:"baseline"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kube-network-policies:", err)
		os.Exit(1)
	}
}

func run() error {
	decoder := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20))
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		var q question
		if err := decoder.Decode(&q); errors.Is(err, io.EOF) {
			return out.Flush()
		} else if err != nil {
			return err
		}
		a, err := respond(q)
		if err != nil {
			return err
		}
		if err := encoder.Encode(a); err != nil {
			return err
		}
	}
}

func respond(q question) (answer, error) {
	var a answer
	for _, f := range q.Flows {
		from, to := info(q, f.From), info(q, f.To)
		fromIP, toIP := net.ParseIP(f.FromIP), net.ParseIP(f.ToIP)
		egress, err := judge(q, networkingv1.PolicyTypeEgress, from, 0, to, toIP, f.Port)
		if err != nil {
			return a, err
		}
		// For ingress the engine wants the Pod that gets the packet first.
		ingress, err := judge(q, networkingv1.PolicyTypeIngress, to, f.Port, from, fromIP, 0)
		if err != nil {
			return a, err
		}
		a.Egress, a.Ingress = append(a.Egress, egress), append(a.Ingress, ingress)
	}
	var err error
	if a.Admin, err = tier(q, npav1alpha2.AdminTier); err == nil {
		a.Baseline, err = tier(q, npav1alpha2.BaselineTier)
	}
	return a, err
}

// store has the objects that an informer would have seen.
type store struct{ cache.Indexer }

func (s store) Lister() cnplisters.ClusterNetworkPolicyLister {
	return cnplisters.NewClusterNetworkPolicyLister(s.Indexer)
}

func (s store) Informer() cache.SharedIndexInformer {
	return cache.NewSharedIndexInformer(&cache.ListWatch{}, &npav1alpha2.ClusterNetworkPolicy{}, 0, cache.Indexers{})
}

func tier(q question, t npav1alpha2.Tier) ([][2]string, error) {
	policies := store{cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})}
	for _, p := range q.Cluster {
		if err := policies.Add(p); err != nil {
			return nil, err
		}
	}
	nodes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, n := range q.Nodes {
		if err := nodes.Add(n); err != nil {
			return nil, err
		}
	}
	evaluator := clusternetworkpolicy.NewClusterNetworkPolicy(t, policies, nil, corelisters.NewNodeLister(nodes))
	verdicts := map[api.Verdict]string{api.VerdictAccept: "Accept", api.VerdictDeny: "Deny", api.VerdictNext: "Pass"}
	var list [][2]string
	for _, f := range q.Flows {
		p := &network.Packet{SrcIP: net.ParseIP(f.FromIP), DstIP: net.ParseIP(f.ToIP), DstPort: f.Port, Proto: v1.ProtocolTCP}
		egress, err := evaluator.EvaluateEgress(context.Background(), p, info(q, f.From), info(q, f.To))
		if err != nil {
			return nil, err
		}
		ingress, err := evaluator.EvaluateIngress(context.Background(), p, info(q, f.From), info(q, f.To))
		if err != nil {
			return nil, err
		}
		list = append(list, [2]string{verdicts[egress], verdicts[ingress]})
	}
	return list, nil
}

// info returns what the engine knows about a Pod. The engine does not know Pods on the host network,
// because its own pkg/podinfo leaves them out.
func info(q question, n int) *api.PodInfo {
	if n < 0 || q.Pods[n].HostNetwork {
		return nil
	}
	p := q.Pods[n]
	i := &api.PodInfo{
		Name: p.Name, Labels: p.Labels,
		Namespace: &api.Namespace{Name: p.Namespace, Labels: q.Namespaces[p.Namespace]},
	}
	for name, port := range p.Ports {
		i.ContainerPorts = append(i.ContainerPorts, &api.ContainerPort{Name: name, Port: port, Protocol: "TCP"})
	}
	return i
}

// judge selects the policies, which is the task of the engine's caller, and evaluates them.
func judge(q question, direction networkingv1.PolicyType, subject *api.PodInfo, port int, peer *api.PodInfo, peerIP net.IP, peerPort int) (bool, error) {
	if subject == nil {
		return true, nil
	}
	var selected []*networkingv1.NetworkPolicy
	for _, p := range q.Policies {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil {
			return false, err
		}
		if p.Namespace == subject.Namespace.Name && selector.Matches(labels.Set(subject.Labels)) {
			selected = append(selected, p)
		}
	}
	return networkpolicy.EvaluatePolicyDirection(context.Background(), selected, direction, subject, port, peer, peerIP, peerPort, v1.ProtocolTCP), nil
}
